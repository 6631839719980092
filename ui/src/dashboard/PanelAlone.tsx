import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { SceneObjectStateChangedEvent, type SceneObject, type VizPanel } from '@grafana/scenes';
import { useStyles2 } from '@grafana/ui';
import { useEffect, useState } from 'react';
import { Loading } from '~/app/Loading';
import type { DashboardScene } from './DashboardScene';
import { allPanels } from './model';
import { numberOfPanel } from './panelKey';

/** What scenes call to end what an activation began. */
type Leave = () => void;

/**
 * Finds a panel and keeps everything around it awake. What changes is told only to what is active: without the grid on the page, a panel
 * would wait for ever for its variables, and copies of repeated panels would never be made.
 */
export function keepAwake(
  scene: DashboardScene,
  name: string,
  tell: (found: VizPanel | undefined) => void,
): Leave {
  const awake = new Map<SceneObject, Leave>();
  const wake = (object: SceneObject) => {
    if (!awake.has(object)) awake.set(object, object.activate());
  };
  let isLooking = false;
  const look = () => {
    // Waking something changes states in turn.
    if (isLooking) return;
    isLooking = true;
    for (const item of [scene.state.body, ...scene.state.body.state.children]) {
      wake(item);
      // Rows hold panels that are repeated, too.
      for (const inner of (item.state as { children?: SceneObject[] }).children ?? []) wake(inner);
    }
    isLooking = false;
    tell(scene.findPanel(name));
  };
  const following = scene.subscribeToEvent(SceneObjectStateChangedEvent, ({ payload }) => {
    if ('children' in payload.partialUpdate || 'copies' in payload.partialUpdate) look();
  });
  look();
  return () => {
    following.unsubscribe();
    for (const leave of awake.values()) leave();
  };
}

/** One panel of a dashboard in the place of all. */
export function PanelAlone({ scene, name }: { scene: DashboardScene; name: string }) {
  const styles = useStyles2(getStyles);
  const [panel, setPanel] = useState(() => scene.findPanel(name));
  useEffect(() => keepAwake(scene, name, setPanel), [scene, name]);
  if (!panel) {
    // A copy of a repeated panel is made when the values are known.
    const number = numberOfPanel(name);
    const isKept = [...allPanels(scene.state.dashboard.panels)].some(({ id }) => id === number);
    return isKept ? <Loading /> : <p className={styles.missing}>This dashboard has no panel {name}.</p>;
  }
  return (
    <div className={styles.alone}>
      <panel.Component model={panel} key={panel.state.key} />
    </div>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  alone: css({
    display: 'flex',
    flex: '1 1 auto',
    height: 'calc(100vh - 130px)',
    padding: theme.spacing(0, 2, 2),
    position: 'relative',
  }),
  missing: css({ color: theme.colors.text.secondary, padding: theme.spacing(4), textAlign: 'center' }),
});
