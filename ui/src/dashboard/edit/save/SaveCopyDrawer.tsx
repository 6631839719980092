import { Alert, Button, Checkbox, Drawer, Field, Input, Stack, TextArea } from '@grafana/ui';
import { useState } from 'react';
import { dashboards } from '~/api/dashboards';
import { FolderPicker } from '~/pages/dashboards/FolderPicker';
import type { DashboardScene } from '../../DashboardScene';
import { store } from './store';

interface Props {
  scene: DashboardScene;
  onClose: () => void;
}

/** Saves a dashboard for the first time: a new one, or a copy of what there is. */
export function SaveCopyDrawer({ scene, onClose }: Props) {
  const { dashboard, about } = scene.useState();
  const isNew = !about?.version;
  const [title, setTitle] = useState(isNew ? dashboard.title : `${dashboard.title} Copy`);
  const [description, setDescription] = useState(dashboard.description ?? '');
  const [folder, setFolder] = useState(about?.provider ? '' : (about?.folderUid ?? ''));
  const [keepsTags, setKeepsTags] = useState(isNew);
  const [problem, setProblem] = useState<string>();
  const save = async () => {
    try {
      const { description: _before, version: _version, ...rest } = dashboard;
      const copy = {
        ...rest,
        uid: '',
        title: title.trim(),
        tags: keepsTags ? dashboard.tags : [],
        ...(description ? { description } : {}),
      };
      await store(scene, copy, {
        folderUid: folder || null,
        message: isNew ? '' : `Copied from ${dashboard.title}`,
      });
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <Drawer title={isNew ? 'Save new dashboard' : 'Save as copy'} onClose={onClose} size="sm">
      <Stack direction="column" gap={2}>
        {about?.provider && (
          <Alert title="This dashboard comes from a file" severity="info">
            It cannot be changed here. A copy can, and no longer follows the file.
          </Alert>
        )}
        <Field label="Title" noMargin invalid={!title.trim()} error="A dashboard needs a title">
          <Input
            id="copy-title"
            value={title}
            onChange={({ currentTarget }) => setTitle(currentTarget.value)}
          />
        </Field>
        <Field label="Description" noMargin>
          <TextArea
            id="copy-description"
            rows={3}
            value={description}
            onChange={({ currentTarget }) => setDescription(currentTarget.value)}
          />
        </Field>
        {dashboards().hasHistory && (
          <Field label="Folder" noMargin>
            <FolderPicker value={folder} onChange={setFolder} />
          </Field>
        )}
        {!isNew && dashboard.tags.length > 0 && (
          <div>
            <Checkbox
              label="Copy tags"
              value={keepsTags}
              onChange={({ currentTarget }) => setKeepsTags(currentTarget.checked)}
            />
          </div>
        )}
        {problem && (
          <Alert title="The dashboard was not saved" severity="error">
            {problem}
          </Alert>
        )}
        <Stack>
          <Button icon="save" disabled={!title.trim()} onClick={() => void save()}>
            Save
          </Button>
          <Button variant="secondary" onClick={onClose}>
            Cancel
          </Button>
        </Stack>
      </Stack>
    </Drawer>
  );
}
