import { css, cx } from '@emotion/css';
import type { GrafanaTheme2, PanelPlugin } from '@grafana/data';
import { locationService } from '@grafana/runtime';
import { VizPanel } from '@grafana/scenes';
import { Button, Tab, TabsBar, useSplitter, useStyles2 } from '@grafana/ui';
import { useEffect, useState } from 'react';
import { importPanelPlugin } from '~/panels';
import { Controls, type DashboardScene } from '../../DashboardScene';
import type { DashboardJson } from '../../model';
import { isChanged, record } from '../commit';
import { SaveButtons } from '../EditToolbar';
import { isSame } from '../json';
import { OptionsPane } from '../options/OptionsPane';
import { findPanel, removePanel, replacePanel } from '../panels';
import { PanelPreview } from './preview';
import { QueriesTab } from './QueriesTab';
import { TransformationsTab } from './TransformationsTab';
import { VizPicker } from './VizPicker';

/** Windows narrower than this, in pixels, have the options below the panel. */
const NARROW = 900;

interface Props {
  scene: DashboardScene;
  /** The number of the panel. */
  id: number;
  /** The dashboard before the panel was edited. */
  before: DashboardJson;
}

/** One panel: how it looks, what it asks, and all that can be said about it. */
export function PanelEditorPage({ scene, id, before }: Props) {
  const styles = useStyles2(getStyles);
  const preview = usePreview(scene, id);
  const back = () => locationService.partial({ editPanel: null });
  if (!preview) {
    return (
      <div className={styles.missing}>
        <p>There is no panel {id} in this dashboard.</p>
        <Button onClick={back}>Back to dashboard</Button>
      </div>
    );
  }
  return <Editor scene={scene} preview={preview} before={before} />;
}

function usePreview(scene: DashboardScene, id: number): PanelPreview | undefined {
  const [preview] = useState(() => {
    const json = findPanel(scene.state.dashboard.panels, id);
    return json && new PanelPreview(scene, json);
  });
  // The parent has to be there before the panel is drawn, as it asks for variables and the time.
  if (preview && !preview.parent && scene.state.preview !== preview) scene.setState({ preview });
  useEffect(() => {
    if (!preview) return undefined;
    if (scene.state.preview !== preview) scene.setState({ preview });
    const deactivate = preview.activate();
    return () => {
      deactivate();
      scene.setState({ preview: undefined });
    };
  }, [scene, preview]);
  return preview;
}

function Editor({
  scene,
  preview,
  before,
}: {
  scene: DashboardScene;
  preview: PanelPreview;
  before: DashboardJson;
}) {
  const styles = useStyles2(getStyles);
  const { json } = preview.useState();
  const { dashboard } = scene.useState();
  const plugin = usePlugin(json.type);
  const [isPicking, setPicking] = useState(false);
  const [tab, setTab] = useState<'queries' | 'transformations'>('queries');
  const isNarrow = window.innerWidth < NARROW;
  const split = useSplitter({
    direction: isNarrow ? 'column' : 'row',
    initialSize: isNarrow ? 0.55 : 0.72,
    dragPosition: isNarrow ? 'middle' : 'end',
  });
  const rows = useSplitter({ direction: 'column', initialSize: 0.52, dragPosition: 'middle' });
  const back = () => locationService.partial({ editPanel: null });
  const was = findPanel(before.panels, json.id ?? 0);
  const discard = () => {
    const { panels } = scene.state.dashboard;
    const next = was ? replacePanel(panels, was) : removePanel(panels, json.id ?? 0);
    record(scene, { ...scene.state.dashboard, panels: next });
    back();
  };
  const asks = !plugin?.meta.skipDataQuery;
  return (
    <>
      <header className={styles.bar}>
        <Button size="sm" variant="secondary" icon="arrow-left" onClick={back}>
          Back to dashboard
        </Button>
        <h1 className={styles.title}>{dashboard.title} / Edit panel</h1>
        <span className={styles.spacer} />
        <Button size="sm" variant="destructive" fill="outline" disabled={isSame(was, json)} onClick={discard}>
          Discard panel changes
        </Button>
        <SaveButtons scene={scene} isDirty={isChanged(scene)} />
      </header>
      <Controls model={scene} />
      <div
        {...split.containerProps}
        className={cx(split.containerProps.className, styles.main, isNarrow && styles.high)}
      >
        <div {...split.primaryProps}>
          <div {...rows.containerProps}>
            <div {...rows.primaryProps}>
              <Shown preview={preview} isAlone={!asks} />
            </div>
            <div {...rows.splitterProps} />
            <div {...rows.secondaryProps}>
              <div className={styles.pane}>
                <section className={styles.below} aria-label="Data">
                  {asks ? (
                    <>
                      <TabsBar className={styles.tabs}>
                        <Tab
                          label="Queries"
                          counter={json.targets?.length ?? 0}
                          icon="database"
                          active={tab === 'queries'}
                          onChangeTab={() => setTab('queries')}
                        />
                        <Tab
                          label="Transformations"
                          counter={json.transformations?.length ?? 0}
                          icon="process"
                          active={tab === 'transformations'}
                          onChangeTab={() => setTab('transformations')}
                        />
                      </TabsBar>
                      <div className={styles.tab}>
                        {tab === 'queries' ? (
                          <QueriesTab scene={scene} preview={preview} />
                        ) : (
                          <TransformationsTab preview={preview} />
                        )}
                      </div>
                    </>
                  ) : (
                    <p className={styles.none}>This panel shows no data of queries.</p>
                  )}
                </section>
              </div>
            </div>
          </div>
        </div>
        <div {...split.splitterProps} />
        <div {...split.secondaryProps}>
          <div className={styles.pane}>
            <aside className={styles.options} aria-label="Panel options">
              <VizPicker
                type={json.type}
                isOpen={isPicking}
                onOpen={setPicking}
                onPick={(type) => void importPanelPlugin(type).then((picked) => preview.setType(picked))}
              />
              {!isPicking && plugin && <OptionsPane scene={scene} preview={preview} plugin={plugin} />}
            </aside>
          </div>
        </div>
      </div>
    </>
  );
}

function usePlugin(type: string): PanelPlugin | undefined {
  const [plugin, setPlugin] = useState<PanelPlugin>();
  useEffect(() => {
    let isCurrent = true;
    importPanelPlugin(type).then(
      (loaded) => isCurrent && setPlugin(loaded),
      () => isCurrent && setPlugin(undefined),
    );
    return () => {
      isCurrent = false;
    };
  }, [type]);
  return plugin?.meta.id === type ? plugin : undefined;
}

function Shown({ preview }: { preview: PanelPreview; isAlone: boolean }) {
  const styles = useStyles2(getStyles);
  const { panel } = preview.useState();
  return (
    <div className={styles.preview} data-testid="panel-preview">
      {panel instanceof VizPanel && (
        <panel.Component model={panel} key={panel.state.key + panel.state.pluginId} />
      )}
    </div>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  missing: css({ padding: theme.spacing(4), textAlign: 'center' }),
  bar: css({
    alignItems: 'center',
    borderBottom: `1px solid ${theme.colors.border.weak}`,
    display: 'flex',
    flexWrap: 'wrap',
    gap: theme.spacing(1.5),
    padding: theme.spacing(0.75, 2),
  }),
  title: css({ fontSize: theme.typography.h5.fontSize, fontWeight: 500, margin: 0 }),
  spacer: css({ flex: '1 1 auto' }),
  main: css({
    flex: '1 1 auto',
    height: 'calc(100vh - 112px)',
    minHeight: 520,
    padding: theme.spacing(0, 2, 1),
  }),
  high: css({ flexShrink: 0, height: '220vh' }),
  preview: css({
    display: 'flex',
    flex: '1 1 auto',
    height: '100%',
    minHeight: 0,
    position: 'relative',
    width: '100%',
  }),
  // What is in a pane scrolls, and does not decide how large the pane is.
  pane: css({ flex: '1 1 auto', minHeight: 160, minWidth: 280, position: 'relative', width: '100%' }),
  below: css({ display: 'flex', flexDirection: 'column', inset: 0, position: 'absolute' }),
  tabs: css({ flex: '0 0 auto' }),
  tab: css({ flex: '1 1 auto', minHeight: 0, overflow: 'auto', padding: theme.spacing(2, 0.5) }),
  none: css({ color: theme.colors.text.secondary, padding: theme.spacing(2) }),
  options: css({
    background: theme.colors.background.primary,
    border: `1px solid ${theme.colors.border.weak}`,
    borderRadius: theme.shape.radius.default,
    display: 'flex',
    flexDirection: 'column',
    inset: 0,
    overflow: 'hidden',
    position: 'absolute',
  }),
});
