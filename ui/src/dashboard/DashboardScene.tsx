import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import {
  SceneObjectBase,
  SceneObjectUrlSyncConfig,
  VizPanel,
  sceneGraph,
  type SceneComponentProps,
  type SceneGridLayout,
  type SceneObject,
  type SceneObjectState,
  type SceneObjectUrlValues,
  type SceneRefreshPicker,
  type SceneTimePicker,
  type VariableValueSelectors,
} from '@grafana/scenes';
import { Button, useStyles2 } from '@grafana/ui';
import { Suspense, lazy } from 'react';
import type { About } from '~/api/dashboards';
import { may } from '~/api/session';
import { AnnotationControls } from './AnnotationControls';
import { DashboardLinks } from './DashboardLinks';
import { useInspected } from './inspect';
import type { DashboardJson } from './model';
import { PanelAlone } from './PanelAlone';
import { TitleBar } from './TitleBar';
import { useShortcuts } from './useShortcuts';

/** Most visits look into no panel, and change nothing. */
const Inspector = lazy(() => import('./Inspector'));
const EditLayer = lazy(() => import('./edit/EditLayer'));
const EditPage = lazy(() => import('./edit/EditPage'));

/** What is shown above the dashboard. */
export type Overlay =
  | { kind: 'save' | 'saveAs' | 'export' | 'delete' | 'move' | 'discard' }
  | { kind: 'row' | 'deleteRow'; id: number };

/** What is done with one panel. */
export type PanelChange =
  | 'edit'
  | 'duplicate'
  | 'copy'
  | 'remove'
  | 'left'
  | 'right'
  | 'up'
  | 'down'
  | 'wider'
  | 'narrower'
  | 'taller'
  | 'shorter';

export interface DashboardState extends SceneObjectState {
  /** With the changes that were made here. */
  dashboard: DashboardJson;
  /** As it was stored last. */
  saved: DashboardJson;
  /** What is known of it besides; absent where it was never stored. */
  about?: About | undefined;
  isEditing?: boolean;
  /** What changes can be taken back to, the last one at the end, and what was taken back. */
  past?: DashboardJson[];
  future?: DashboardJson[];
  overlay?: Overlay | undefined;
  /** Shows another scene in place of this one. */
  replace?: (next: DashboardScene) => void;
  body: SceneGridLayout;
  timePicker: SceneTimePicker;
  refreshPicker: SceneRefreshPicker;
  selectors: VariableValueSelectors;
  isStarred?: boolean;
  /** The panel whose editor is open, as it looks: it sees the variables and the time of the dashboard. */
  preview?: SceneObject | undefined;
  /** Shows nothing but panels. */
  kiosk?: boolean;
  /** The key of the panel that is shown alone. */
  viewPanel?: string;
  /** The number of the panel whose editor is open. */
  editPanel?: string | undefined;
  /** The part of the settings that is open. */
  editView?: string | undefined;
}

/** A dashboard as it is shown: controls above a grid of panels, or one panel alone. */
export class DashboardScene extends SceneObjectBase<DashboardState> {
  protected override _urlSync = new SceneObjectUrlSyncConfig(this, {
    keys: ['viewPanel', 'kiosk', 'editPanel', 'editView'],
  });

  getUrlState(): SceneObjectUrlValues {
    const { viewPanel, kiosk, editPanel, editView } = this.state;
    return {
      viewPanel: viewPanel ?? null,
      kiosk: kiosk ? 'true' : null,
      editPanel: editPanel ?? null,
      editView: editView ?? null,
    };
  }

  updateFromUrl({ viewPanel, kiosk, editPanel, editView }: SceneObjectUrlValues): void {
    const state: Partial<DashboardState> = {};
    if (viewPanel !== undefined) Object.assign(state, { viewPanel: viewPanel ?? undefined });
    if (kiosk !== undefined) state.kiosk = kiosk !== null && kiosk !== 'false';
    if (editPanel !== undefined) Object.assign(state, { editPanel: editPanel ?? undefined });
    if (editView !== undefined) Object.assign(state, { editView: editView ?? undefined });
    this.setState(state);
    if ((state.editPanel || state.editView) && !this.state.isEditing) void this.edit();
  }

  /** Who looks may change it here; what comes from a file can be changed and saved under another name. */
  mayEdit(): boolean {
    return may('editor') && this.state.dashboard.editable !== false;
  }

  /** Who may change dashboards, but not this one until it says otherwise. */
  isLocked(): boolean {
    return may('editor') && this.state.dashboard.editable === false;
  }

  /** Takes the lock off, to be saved like any change. */
  async unlock(): Promise<void> {
    this.setState({ dashboard: { ...this.state.dashboard, editable: true } });
    await this.edit();
  }

  isProvisioned(): boolean {
    return Boolean(this.state.about?.provider);
  }

  show(overlay: Overlay | undefined): void {
    this.setState({ overlay });
  }

  /** Lets panels be moved, made larger and changed. */
  async edit(): Promise<void> {
    if (!this.mayEdit()) return;
    const { startEditing } = await import('./edit/commit');
    startEditing(this);
  }

  async changePanel(id: number, change: PanelChange): Promise<void> {
    if (!this.mayEdit()) return;
    const { changePanel } = await import('./edit/commit');
    changePanel(this, id, change);
  }

  /** The panel shown alone: by its key, or by its number as old links have it. */
  findPanel(name: string): VizPanel | undefined {
    const found = sceneGraph.findObject(
      this,
      (object) =>
        object instanceof VizPanel && (object.state.key === name || object.state.key === `panel-${name}`),
    );
    return found instanceof VizPanel ? found : undefined;
  }

  static Component = View;
}

function View({ model }: SceneComponentProps<DashboardScene>) {
  const { body, viewPanel, kiosk, editPanel, editView, isEditing, overlay } = model.useState();
  const [inspected, setInspected] = useInspected();
  useShortcuts(model);
  const styles = useStyles2(getStyles);
  if (isEditing && (editPanel || editView)) {
    return (
      <div className={styles.page}>
        <Suspense>
          <EditPage scene={model} />
        </Suspense>
      </div>
    );
  }
  return (
    <div className={styles.page}>
      {!kiosk && <TitleBar scene={model} />}
      {!kiosk && <Controls model={model} />}
      {viewPanel ? (
        <PanelAlone scene={model} name={viewPanel} />
      ) : (
        <div className={styles.body}>
          <body.Component model={body} />
        </div>
      )}
      {(isEditing || overlay) && (
        <Suspense>
          <EditLayer scene={model} />
        </Suspense>
      )}
      {inspected && (
        <Suspense>
          <Inspector inspected={inspected} onChange={setInspected} />
        </Suspense>
      )}
    </div>
  );
}

/** Variables, annotations, links and the time. */
export function Controls({ model }: SceneComponentProps<DashboardScene>) {
  const { dashboard, timePicker, refreshPicker, selectors, viewPanel } = model.useState();
  const styles = useStyles2(getStyles);
  return (
    <div className={styles.controls} data-testid="dashboard-controls">
      {viewPanel && (
        <Button
          variant="secondary"
          icon="arrow-left"
          onClick={() => model.setState({ viewPanel: undefined as never })}
        >
          Back to dashboard
        </Button>
      )}
      <selectors.Component model={selectors} />
      <AnnotationControls scene={model} />
      <div className={styles.spacer} />
      <DashboardLinks links={dashboard.links} from={model} />
      <div className={styles.time}>
        <timePicker.Component model={timePicker} />
        <refreshPicker.Component model={refreshPicker} />
      </div>
    </div>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  page: css({ display: 'flex', flex: '1 1 auto', flexDirection: 'column', minWidth: 0 }),
  controls: css({
    alignItems: 'flex-start',
    background: theme.colors.background.canvas,
    display: 'flex',
    flexWrap: 'wrap',
    gap: theme.spacing(1),
    padding: theme.spacing(1, 2),
    position: 'sticky',
    top: 0,
    zIndex: theme.zIndex.navbarFixed - 1,
  }),
  spacer: css({ flex: '1 1 auto' }),
  // On a line of their own, too, they stand at the right: what they open reaches to the left.
  time: css({ display: 'flex', gap: theme.spacing(1), marginLeft: 'auto' }),
  body: css({ display: 'flex', flex: '1 1 auto', padding: theme.spacing(0, 2, 2) }),
});
