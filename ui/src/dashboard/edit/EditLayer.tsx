import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { locationService } from '@grafana/runtime';
import { Button, useStyles2 } from '@grafana/ui';
import { useEffect } from 'react';
import type { DashboardScene } from '../DashboardScene';
import { followGrid, insertPanel } from './commit';
import { LeaveGuard } from './LeaveGuard';
import { NEW_PANEL } from './newPanel';
import { Overlays } from './Overlays';

/** What lies over a dashboard that is edited. */
export default function EditLayer({ scene }: { scene: DashboardScene }) {
  const { isEditing, dashboard } = scene.useState();
  useEffect(() => (isEditing ? followGrid(scene) : undefined), [scene, isEditing]);
  return (
    <>
      {isEditing && !dashboard.panels.length && <Empty scene={scene} />}
      <LeaveGuard scene={scene} />
      <Overlays scene={scene} />
    </>
  );
}

function Empty({ scene }: { scene: DashboardScene }) {
  const styles = useStyles2(getStyles);
  const add = () => locationService.partial({ editPanel: insertPanel(scene, NEW_PANEL) });
  return (
    <section className={styles.empty}>
      <h2>Start your new dashboard</h2>
      <p>Choose a data source, then query and visualise it. A dashboard has as many panels as you like.</p>
      <Button size="lg" icon="plus" onClick={add}>
        Add visualization
      </Button>
      <Button
        size="lg"
        variant="secondary"
        icon="upload"
        onClick={() => locationService.push('/dashboards/import')}
      >
        Import a dashboard
      </Button>
    </section>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  empty: css({
    alignItems: 'center',
    border: `1px dashed ${theme.colors.border.medium}`,
    borderRadius: theme.shape.radius.default,
    display: 'flex',
    flexDirection: 'column',
    gap: theme.spacing(2),
    margin: theme.spacing(2),
    padding: theme.spacing(8, 2),
    textAlign: 'center',
    '& h2, & p': { margin: 0 },
    '& p': { color: theme.colors.text.secondary },
  }),
});
