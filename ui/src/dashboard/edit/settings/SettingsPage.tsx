import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { locationService } from '@grafana/runtime';
import { Button, Tab, TabsBar, useStyles2 } from '@grafana/ui';
import { dashboards } from '~/api/dashboards';
import type { DashboardScene } from '../../DashboardScene';
import type { DashboardJson } from '../../model';
import { isChanged, record } from '../commit';
import { SaveButtons } from '../EditToolbar';
import { Annotations } from './Annotations';
import { General } from './General';
import { JsonModel } from './JsonModel';
import { Links } from './Links';
import { Variables } from './Variables';
import { Versions } from './Versions';

/** What each part of the settings is given. */
export interface PartProps {
  scene: DashboardScene;
  dashboard: DashboardJson;
  onChange: (next: DashboardJson) => void;
}

const PARTS = [
  { id: 'general', label: 'General', Part: General },
  { id: 'variables', label: 'Variables', Part: Variables },
  { id: 'annotations', label: 'Annotations', Part: Annotations },
  { id: 'links', label: 'Links', Part: Links },
  { id: 'versions', label: 'Versions', Part: Versions },
  { id: 'json', label: 'JSON model', Part: JsonModel },
];

/** The settings of a dashboard. */
export function SettingsPage({ scene }: { scene: DashboardScene }) {
  const { dashboard, about, editView } = scene.useState();
  const styles = useStyles2(getStyles);
  const hasVersions = dashboards().hasHistory && Boolean(about?.version);
  const parts = PARTS.filter(({ id }) => id !== 'versions' || hasVersions);
  const { Part, id: open } = parts.find(({ id }) => id === editView) ?? { Part: General, id: 'general' };
  return (
    <>
      <header className={styles.bar}>
        <Button
          size="sm"
          variant="secondary"
          icon="arrow-left"
          onClick={() => locationService.partial({ editView: null })}
        >
          Back to dashboard
        </Button>
        <h1 className={styles.title}>{dashboard.title} / Settings</h1>
        <span className={styles.spacer} />
        <SaveButtons scene={scene} isDirty={isChanged(scene)} />
      </header>
      <TabsBar className={styles.tabs}>
        {parts.map(({ id, label }) => (
          <Tab
            key={id}
            label={label}
            active={id === open}
            onChangeTab={() => locationService.partial({ editView: id })}
          />
        ))}
      </TabsBar>
      <div className={styles.part}>
        <Part scene={scene} dashboard={dashboard} onChange={(next) => record(scene, next)} />
      </div>
    </>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  bar: css({
    alignItems: 'center',
    display: 'flex',
    flexWrap: 'wrap',
    gap: theme.spacing(1.5),
    padding: theme.spacing(1, 2),
  }),
  title: css({ fontSize: theme.typography.h5.fontSize, fontWeight: 500, margin: 0 }),
  spacer: css({ flex: '1 1 auto' }),
  tabs: css({ padding: theme.spacing(0, 2) }),
  part: css({ padding: theme.spacing(3, 2), maxWidth: 1200, width: '100%' }),
});
