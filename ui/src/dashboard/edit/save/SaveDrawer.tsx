import { Alert, Button, Checkbox, Drawer, Field, Stack, Tab, TabsBar, TextArea } from '@grafana/ui';
import { useState } from 'react';
import { dashboards } from '~/api/dashboards';
import { ApiError } from '~/api/http';
import type { DashboardScene } from '../../DashboardScene';
import { loadDashboard } from '../../load';
import type { DashboardJson } from '../../model';
import { Changes } from './Changes';
import { countOf, differences } from './diff';
import { store, withTime, withValues } from './store';

interface Props {
  scene: DashboardScene;
  onClose: () => void;
}

/** Saves the dashboard with a word on what was changed. */
export function SaveDrawer({ scene, onClose }: Props) {
  const { dashboard, saved, about } = scene.useState();
  const [message, setMessage] = useState('');
  const [time, setTime] = useState(false);
  const [values, setValues] = useState(false);
  const [tab, setTab] = useState<'details' | 'changes'>('details');
  const [failure, setFailure] = useState<Error>();
  const [isSaving, setSaving] = useState(false);

  const timed = withTime(dashboard, scene);
  const valued = withValues(dashboard, scene);
  const withAsked = time ? withTime(dashboard, scene) : dashboard;
  const next = values ? withValues(withAsked, scene) : withAsked;
  const count = countOf(differences(saved, next));

  const save = async (overwrite: boolean) => {
    setSaving(true);
    try {
      await store(scene, next, { message, overwrite, folderUid: about?.folderUid });
    } catch (error) {
      setFailure(error instanceof Error ? error : new Error(String(error)));
      setSaving(false);
    }
  };

  return (
    <Drawer
      title="Save dashboard"
      subtitle={dashboard.title}
      onClose={onClose}
      tabs={
        <TabsBar>
          <Tab label="Details" active={tab === 'details'} onChangeTab={() => setTab('details')} />
          <Tab
            label="Changes"
            counter={count}
            active={tab === 'changes'}
            onChangeTab={() => setTab('changes')}
          />
        </TabsBar>
      }
    >
      {tab === 'changes' ? (
        <Changes before={saved} after={next} />
      ) : (
        <Stack direction="column" gap={2}>
          {timed !== dashboard && (
            <div>
              <Checkbox
                label="Update the default time range"
                description={`Begins with ${timed.time.from} to ${timed.time.to}`}
                value={time}
                onChange={({ currentTarget }) => setTime(currentTarget.checked)}
              />
            </div>
          )}
          {valued !== dashboard && (
            <div>
              <Checkbox
                label="Update the default values of variables"
                description="Begins with the values that are chosen now"
                value={values}
                onChange={({ currentTarget }) => setValues(currentTarget.checked)}
              />
            </div>
          )}
          {dashboards().hasHistory && (
            <Field label="What was changed" noMargin>
              <TextArea
                id="save-message"
                rows={4}
                placeholder="Shown in the version history"
                value={message}
                onChange={({ currentTarget }) => setMessage(currentTarget.value)}
              />
            </Field>
          )}
          {failure && (
            <Failed
              scene={scene}
              failure={failure}
              onOverwrite={() => void save(true)}
              onCopy={() => scene.show({ kind: 'saveAs' })}
            />
          )}
          <Stack>
            <Button icon="save" disabled={isSaving} onClick={() => void save(false)}>
              Save
            </Button>
            <Button variant="secondary" onClick={onClose}>
              Cancel
            </Button>
          </Stack>
        </Stack>
      )}
    </Drawer>
  );
}

interface FailedProps {
  scene: DashboardScene;
  failure: Error;
  onOverwrite: () => void;
  onCopy: () => void;
}

/** Why it was not saved, and what can be done about it. */
function Failed({ scene, failure, onOverwrite, onCopy }: FailedProps) {
  const { saved } = scene.useState();
  const [theirs, setTheirs] = useState<DashboardJson>();
  const isConflict = failure instanceof ApiError && failure.status === 409;
  if (!isConflict) {
    return (
      <Alert title="The dashboard was not saved" severity="error">
        {failure.message}
      </Alert>
    );
  }
  const look = async () => {
    const kept = await dashboards().open(saved.uid);
    if (kept) setTheirs(loadDashboard(kept.dashboard));
  };
  return (
    <>
      <Alert title="Somebody else has changed this dashboard" severity="warning">
        <p>
          It was saved by somebody else since you opened it ({failure.message}). Save yours under another name
          to keep both, or overwrite theirs: it stays in the version history.
        </p>
        <Stack wrap="wrap">
          <Button size="sm" variant="secondary" onClick={() => void look()}>
            Show their changes
          </Button>
          <Button size="sm" variant="secondary" onClick={onCopy}>
            Save as copy
          </Button>
          <Button size="sm" variant="destructive" onClick={onOverwrite}>
            Overwrite
          </Button>
        </Stack>
      </Alert>
      {theirs && <Changes before={saved} after={theirs} />}
    </>
  );
}
