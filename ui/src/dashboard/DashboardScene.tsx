import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import {
  SceneObjectBase,
  SceneObjectUrlSyncConfig,
  VizPanel,
  sceneGraph,
  type SceneComponentProps,
  type SceneGridLayout,
  type SceneObjectState,
  type SceneObjectUrlValues,
  type SceneRefreshPicker,
  type SceneTimePicker,
  type VariableValueSelectors,
} from '@grafana/scenes';
import { Button, useStyles2 } from '@grafana/ui';
import { Suspense, lazy } from 'react';
import { AnnotationControls } from './AnnotationControls';
import { DashboardLinks } from './DashboardLinks';
import { useInspected } from './inspect';
import type { DashboardJson } from './model';
import { TitleBar } from './TitleBar';
import { useShortcuts } from './useShortcuts';

/** Most visits look into no panel. */
const Inspector = lazy(() => import('./Inspector'));

interface State extends SceneObjectState {
  dashboard: DashboardJson;
  body: SceneGridLayout;
  timePicker: SceneTimePicker;
  refreshPicker: SceneRefreshPicker;
  selectors: VariableValueSelectors;
  isStarred?: boolean;
  /** Shows nothing but panels. */
  kiosk?: boolean;
  /** The key of the panel that is shown alone. */
  viewPanel?: string;
}

/** A dashboard as it is shown: controls above a grid of panels, or one panel alone. */
export class DashboardScene extends SceneObjectBase<State> {
  protected override _urlSync = new SceneObjectUrlSyncConfig(this, { keys: ['viewPanel', 'kiosk'] });

  getUrlState(): SceneObjectUrlValues {
    const { viewPanel, kiosk } = this.state;
    return { viewPanel: viewPanel ?? null, kiosk: kiosk ? 'true' : null };
  }

  updateFromUrl({ viewPanel, kiosk }: SceneObjectUrlValues): void {
    const state: Partial<State> = {};
    if (viewPanel !== undefined) Object.assign(state, { viewPanel: viewPanel ?? undefined });
    if (kiosk !== undefined) state.kiosk = kiosk !== null && kiosk !== 'false';
    this.setState(state);
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
  const { body, viewPanel, kiosk, dashboard, isStarred } = model.useState();
  const [inspected, setInspected] = useInspected();
  useShortcuts(model);
  const styles = useStyles2(getStyles);
  const alone = viewPanel ? model.findPanel(viewPanel) : undefined;
  return (
    <div className={styles.page}>
      {!kiosk && <TitleBar dashboard={dashboard} isStarred={isStarred ?? false} />}
      {!kiosk && <Controls model={model} />}
      {alone ? (
        <div className={styles.alone}>
          <alone.Component model={alone} />
        </div>
      ) : (
        <div className={styles.body}>
          <body.Component model={body} />
        </div>
      )}
      {inspected && (
        <Suspense>
          <Inspector inspected={inspected} onChange={setInspected} />
        </Suspense>
      )}
    </div>
  );
}

function Controls({ model }: SceneComponentProps<DashboardScene>) {
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
  time: css({ display: 'flex', gap: theme.spacing(1) }),
  body: css({ display: 'flex', flex: '1 1 auto', padding: theme.spacing(0, 2, 2) }),
  alone: css({
    display: 'flex',
    flex: '1 1 auto',
    height: 'calc(100vh - 130px)',
    padding: theme.spacing(0, 2, 2),
    position: 'relative',
  }),
});
