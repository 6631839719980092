import { locationService } from '@grafana/runtime';
import { Button, ButtonGroup, Dropdown, Menu, ToolbarButton } from '@grafana/ui';
import type { DashboardScene } from '../DashboardScene';
import { commitPanels, copiedPanel, insertPanel, isChanged, redo, stopEditing, undo } from './commit';
import { addRow } from './panels';
import { NEW_PANEL } from './newPanel';

/** What can be done with the dashboard while it is edited. */
export default function EditToolbar({ scene }: { scene: DashboardScene }) {
  const { past = [], future = [] } = scene.useState();
  const isDirty = isChanged(scene);
  const leave = () => (isDirty ? scene.show({ kind: 'discard' }) : stopEditing(scene));
  return (
    <>
      <ToolbarButton
        icon="corner-up-left"
        iconOnly
        tooltip="Undo"
        disabled={!past.length}
        onClick={() => undo(scene)}
      />
      <ToolbarButton
        icon="corner-up-right"
        iconOnly
        tooltip="Redo"
        disabled={!future.length}
        onClick={() => redo(scene)}
      />
      <Dropdown overlay={<AddMenu scene={scene} />}>
        <Button size="sm" variant="secondary" icon="plus">
          Add
        </Button>
      </Dropdown>
      <Button
        size="sm"
        variant="secondary"
        icon="cog"
        onClick={() => locationService.partial({ editView: 'general' })}
      >
        Settings
      </Button>
      <Button size="sm" variant="secondary" onClick={leave}>
        {isDirty ? 'Discard' : 'Exit edit'}
      </Button>
      <SaveButtons scene={scene} isDirty={isDirty} />
    </>
  );
}

function AddMenu({ scene }: { scene: DashboardScene }) {
  const copied = copiedPanel();
  const add = () => {
    const id = insertPanel(scene, NEW_PANEL);
    locationService.partial({ editPanel: id });
  };
  const row = () => commitPanels(scene, addRow(scene.state.dashboard.panels, 'New row').panels);
  return (
    <Menu>
      <Menu.Item label="Visualization" icon="graph-bar" onClick={add} />
      <Menu.Item label="Row" icon="wrap-text" onClick={row} />
      {copied && (
        <Menu.Item label="Paste panel" icon="clipboard-alt" onClick={() => insertPanel(scene, copied)} />
      )}
    </Menu>
  );
}

/** Saving, as what there is or as a copy. */
export function SaveButtons({ scene, isDirty }: { scene: DashboardScene; isDirty: boolean }) {
  const isNew = !scene.state.about?.version;
  const isCopyOnly = scene.isProvisioned();
  const menu = (
    <Menu>
      <Menu.Item label="Save as copy" icon="copy" onClick={() => scene.show({ kind: 'saveAs' })} />
      <Menu.Item label="Export" icon="download-alt" onClick={() => scene.show({ kind: 'export' })} />
    </Menu>
  );
  return (
    <ButtonGroup>
      <Button
        size="sm"
        icon="save"
        disabled={!isDirty && !isNew && !isCopyOnly}
        onClick={() => scene.show({ kind: isCopyOnly || isNew ? 'saveAs' : 'save' })}
      >
        {isCopyOnly ? 'Save as copy' : 'Save dashboard'}
      </Button>
      <Dropdown overlay={menu} placement="bottom-end">
        <Button size="sm" icon="angle-down" aria-label="More ways to save" />
      </Dropdown>
    </ButtonGroup>
  );
}
