import { SceneObjectBase, type SceneComponentProps, type SceneObjectState } from '@grafana/scenes';
import { IconButton } from '@grafana/ui';
import { DashboardScene } from './DashboardScene';

interface State extends SceneObjectState {
  /** The number of the row. */
  rowId: number;
}

/** What can be done with a row, beside its title, while the dashboard is edited. */
export class RowActions extends SceneObjectBase<State> {
  static Component = Actions;
}

function Actions({ model }: SceneComponentProps<RowActions>) {
  const scene = model.getRoot();
  return scene instanceof DashboardScene ? <WhileEditing scene={scene} rowId={model.state.rowId} /> : null;
}

function WhileEditing({ scene, rowId }: { scene: DashboardScene; rowId: number }) {
  const { isEditing } = scene.useState();
  if (!isEditing) return null;
  return (
    <>
      <IconButton
        name="cog"
        aria-label="Row options"
        onClick={() => scene.show({ kind: 'row', id: rowId })}
      />
      <IconButton
        name="trash-alt"
        aria-label="Delete row"
        onClick={() => scene.show({ kind: 'deleteRow', id: rowId })}
      />
    </>
  );
}
