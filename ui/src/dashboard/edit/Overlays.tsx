import { locationService } from '@grafana/runtime';
import { Button, Combobox, ConfirmModal, Field, Input, Modal } from '@grafana/ui';
import { useState } from 'react';
import { dashboards } from '~/api/dashboards';
import { FolderPicker } from '~/pages/dashboards/FolderPicker';
import type { DashboardScene } from '../DashboardScene';
import { commitPanels, stopEditing } from './commit';
import { findPanel, removeRow, replacePanel } from './panels';
import { SaveDrawer } from './save/SaveDrawer';
import { SaveCopyDrawer } from './save/SaveCopyDrawer';
import { ExportDrawer } from './save/ExportDrawer';

/** The dialog that is open, if one is. */
export function Overlays({ scene }: { scene: DashboardScene }) {
  const { overlay, dashboard } = scene.useState();
  const close = () => scene.show(undefined);
  switch (overlay?.kind) {
    case 'save':
      return <SaveDrawer scene={scene} onClose={close} />;
    case 'saveAs':
      return <SaveCopyDrawer scene={scene} onClose={close} />;
    case 'export':
      return <ExportDrawer dashboard={dashboard} onClose={close} />;
    case 'discard':
      return (
        <ConfirmModal
          isOpen
          title="Discard changes"
          body="All changes since the dashboard was saved last are lost."
          confirmText="Discard"
          onConfirm={() => discard(scene)}
          onDismiss={close}
        />
      );
    case 'delete':
      return (
        <ConfirmModal
          isOpen
          title="Delete dashboard"
          body={`Delete "${dashboard.title}" with all its versions?`}
          confirmText="Delete"
          onConfirm={() => void remove(scene)}
          onDismiss={close}
        />
      );
    case 'move':
      return <MoveModal scene={scene} onClose={close} />;
    case 'row':
      return <RowModal scene={scene} id={overlay.id} onClose={close} />;
    case 'deleteRow':
      return <DeleteRowModal scene={scene} id={overlay.id} onClose={close} />;
    default:
      return null;
  }
}

function discard(scene: DashboardScene): void {
  const isNew = !scene.state.about?.version;
  stopEditing(scene);
  if (isNew) locationService.push('/dashboards');
}

async function remove(scene: DashboardScene): Promise<void> {
  stopEditing(scene);
  await dashboards().remove(scene.state.dashboard.uid);
  locationService.push('/dashboards');
}

interface Props {
  scene: DashboardScene;
  onClose: () => void;
}

function MoveModal({ scene, onClose }: Props) {
  const { about, dashboard } = scene.useState();
  const [folder, setFolder] = useState(about?.folderUid ?? '');
  const [problem, setProblem] = useState<string>();
  const move = async () => {
    try {
      await dashboards().move(dashboard.uid, folder || null);
      const kept = await dashboards().open(dashboard.uid);
      scene.setState({ about: kept?.about, overlay: undefined });
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <Modal isOpen title="Move to a folder" onDismiss={onClose}>
      <Field label="Folder" error={problem} invalid={Boolean(problem)}>
        <FolderPicker value={folder} onChange={setFolder} />
      </Field>
      <Modal.ButtonRow>
        <Button variant="secondary" fill="outline" onClick={onClose}>
          Cancel
        </Button>
        <Button onClick={() => void move()}>Move</Button>
      </Modal.ButtonRow>
    </Modal>
  );
}

const NO_REPEAT = { label: 'No repeat', value: '' };

/** Variables that have several values, of which things can be repeated. */
export function repeatable(scene: DashboardScene) {
  const named = scene.state.dashboard.templating.list.filter(({ type }) =>
    ['query', 'custom', 'datasource', 'interval', 'groupby'].includes(type),
  );
  return [NO_REPEAT, ...named.map(({ name }) => ({ label: `$${name}`, value: name }))];
}

function RowModal({ scene, id, onClose }: Props & { id: number }) {
  const { panels } = scene.state.dashboard;
  const row = findPanel(panels, id);
  const [title, setTitle] = useState(row?.title ?? '');
  const [repeat, setRepeat] = useState(row?.repeat ?? '');
  if (!row) return null;
  const save = () => {
    const { repeat: _before, ...rest } = row;
    commitPanels(scene, replacePanel(panels, { ...rest, title, ...(repeat ? { repeat } : {}) }));
    onClose();
  };
  return (
    <Modal isOpen title="Row options" onDismiss={onClose}>
      <Field label="Title">
        <Input id="row-title" value={title} onChange={({ currentTarget }) => setTitle(currentTarget.value)} />
      </Field>
      <Field label="Repeat for" description="A copy of the row for each value of a variable">
        <Combobox
          options={repeatable(scene)}
          value={repeat}
          onChange={({ value }) => setRepeat(value)}
          aria-label="Repeat for"
        />
      </Field>
      <Modal.ButtonRow>
        <Button variant="secondary" fill="outline" onClick={onClose}>
          Cancel
        </Button>
        <Button onClick={save}>Update</Button>
      </Modal.ButtonRow>
    </Modal>
  );
}

function DeleteRowModal({ scene, id, onClose }: Props & { id: number }) {
  const remove = (withPanels: boolean) => {
    commitPanels(scene, removeRow(scene.state.dashboard.panels, id, withPanels));
    onClose();
  };
  return (
    <Modal isOpen title="Delete row" onDismiss={onClose}>
      <p>Delete only the row, or the panels in it too?</p>
      <Modal.ButtonRow>
        <Button variant="secondary" fill="outline" onClick={onClose}>
          Cancel
        </Button>
        <Button variant="secondary" onClick={() => remove(false)}>
          Row only
        </Button>
        <Button variant="destructive" onClick={() => remove(true)}>
          Row and panels
        </Button>
      </Modal.ButtonRow>
    </Modal>
  );
}
