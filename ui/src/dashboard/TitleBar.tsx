import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { locationService } from '@grafana/runtime';
import { TagList, ToolbarButton, useStyles2 } from '@grafana/ui';
import { useState } from 'react';
import { dashboards } from '~/api/dashboards';
import { session } from '~/api/session';
import { download } from './download';
import type { DashboardJson } from './model';

/** What dashboard this is, and what can be done with all of it. */
export function TitleBar({ dashboard, isStarred }: { dashboard: DashboardJson; isStarred: boolean }) {
  const styles = useStyles2(getStyles);
  const [starred, setStarred] = useState(isStarred);
  const { isKept, user } = session();
  const star = async () => {
    await dashboards().star(dashboard.uid, !starred);
    setStarred(!starred);
  };
  const save = () =>
    download(`${dashboard.title}.json`, JSON.stringify(dashboard, undefined, 2), 'application/json');
  return (
    <header className={styles.bar}>
      <a href="/dashboards" className={styles.crumb}>
        Dashboards
      </a>
      <span className={styles.crumb}>/</span>
      <h1 className={styles.title}>{dashboard.title}</h1>
      <span>
        <TagList tags={dashboard.tags} className={styles.tags} />
      </span>
      <span className={styles.spacer} />
      {(!isKept || user) && (
        <ToolbarButton
          icon={starred ? 'favorite' : 'star'}
          iconOnly
          tooltip={starred ? 'Remove the star' : 'Mark with a star'}
          onClick={() => void star()}
        />
      )}
      <ToolbarButton icon="download-alt" iconOnly tooltip="Export as JSON" onClick={save} />
      <ToolbarButton
        icon="monitor"
        iconOnly
        tooltip="Kiosk (leave with Escape)"
        onClick={() => locationService.partial({ kiosk: true })}
      />
    </header>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  bar: css({
    alignItems: 'center',
    borderBottom: `1px solid ${theme.colors.border.weak}`,
    display: 'flex',
    flexWrap: 'wrap',
    gap: theme.spacing(1),
    padding: theme.spacing(0.75, 2),
  }),
  crumb: css({ color: theme.colors.text.secondary }),
  title: css({ fontSize: theme.typography.h5.fontSize, fontWeight: 500, margin: 0 }),
  tags: css({ justifyContent: 'flex-start' }),
  spacer: css({ flex: '1 1 auto' }),
});
