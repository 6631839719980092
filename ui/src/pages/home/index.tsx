import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { Icon, useStyles2, type IconName } from '@grafana/ui';
import { useCallback } from 'react';
import { Navigate, useLocation } from 'react-router-dom';
import { dashboards, type DashboardSummary } from '~/api/dashboards';
import { ownMetrics } from '~/api/prometheus';
import { homeDashboard } from '~/api/preferences';
import { Loading } from '~/app/Loading';
import { Page } from '~/app/Page';
import { count } from '~/app/format';
import { useLoad } from '~/app/useLoad';
import { slug } from '../dashboards/slug';

const REFRESH_MS = 15_000;

/** Where one begins: at the dashboard that was chosen for it, or with how things are, and where to go. */
export default function Home() {
  const { value: home, loading } = useLoad(useCallback(() => homeDashboard().catch(() => undefined), []));
  const isOverview = new URLSearchParams(useLocation().search).has('overview');
  if (isOverview) return <Overview />;
  if (loading) return <Loading />;
  return home ? <Navigate to={`/d/${encodeURIComponent(home)}`} replace /> : <Overview />;
}

function Overview() {
  const { value, error } = useLoad(loadOverview, REFRESH_MS);
  const { value: list = [] } = useLoad(useCallback(() => dashboards().list(), []));
  const styles = useStyles2(getStyles);
  const starred = list.filter(({ isStarred }) => isStarred);
  return (
    <Page title="Bartizan" error={error}>
      <div className={styles.tiles}>
        <Tile
          href="/alerts"
          icon="bell"
          label="Alerts firing"
          value={value?.firing}
          tone={value?.firing ? 'bad' : 'good'}
        />
        <Tile
          href="/targets"
          icon="sitemap"
          label="Targets down"
          value={value?.down}
          tone={value?.down ? 'bad' : 'good'}
        />
        <Tile href="/targets" icon="sitemap" label="Targets up" value={value?.up} />
        <Tile href="/status?tab=tsdb" icon="database" label="Series" value={value?.series} />
      </div>
      {starred.length > 0 && <List title="Starred" list={starred} />}
      <List title="Dashboards" list={list} />
    </Page>
  );
}

async function loadOverview() {
  const [targets, tsdb, { alerts }] = await Promise.all([
    ownMetrics.targets(),
    ownMetrics.get<{ headStats: { numSeries: number } }>('status/tsdb', { limit: 1 }),
    ownMetrics.get<{ alerts: { state: string }[] }>('alerts', {}),
  ]);
  const health = (wanted: string) =>
    targets.activeTargets.filter((target) => target.health === wanted).length;
  return {
    up: health('up'),
    down: health('down'),
    series: tsdb.headStats.numSeries,
    firing: alerts.filter(({ state }) => state === 'firing').length,
  };
}

interface TileProps {
  href: string;
  icon: IconName;
  label: string;
  value: number | undefined;
  tone?: 'good' | 'bad';
}

function Tile({ href, icon, label, value, tone }: TileProps) {
  const styles = useStyles2(getStyles);
  return (
    <a href={href} className={styles.tile}>
      <span className={styles.label}>
        <Icon name={icon} /> {label}
      </span>
      <span className={tone ? styles[tone] : styles.value}>{value === undefined ? '...' : count(value)}</span>
    </a>
  );
}

function List({ title, list }: { title: string; list: DashboardSummary[] }) {
  const styles = useStyles2(getStyles);
  return (
    <section>
      <h2>{title}</h2>
      <ul className={styles.list}>
        {list.map((dashboard) => (
          <li key={dashboard.uid}>
            <a href={`/d/${dashboard.uid}/${slug(dashboard.title)}`}>{dashboard.title}</a>
            {dashboard.folder && <span> {dashboard.folder}</span>}
          </li>
        ))}
      </ul>
    </section>
  );
}

const getStyles = (theme: GrafanaTheme2) => {
  const value = { fontSize: 32, fontWeight: 500, fontVariantNumeric: 'tabular-nums' };
  return {
    tiles: css({
      display: 'grid',
      gap: theme.spacing(2),
      gridTemplateColumns: 'repeat(auto-fit, minmax(140px, 1fr))',
    }),
    list: css({
      columnWidth: 340,
      listStyle: 'none',
      padding: 0,
      li: { breakInside: 'avoid', padding: theme.spacing(0.25, 0) },
      a: { color: theme.colors.text.primary, '&:hover': { textDecoration: 'underline' } },
      span: {
        color: theme.colors.text.secondary,
        fontSize: theme.typography.bodySmall.fontSize,
        marginLeft: 4,
      },
    }),
    tile: css({
      background: theme.colors.background.primary,
      border: `1px solid ${theme.colors.border.weak}`,
      borderRadius: theme.shape.radius.default,
      display: 'flex',
      flexDirection: 'column',
      padding: theme.spacing(2),
      '&:hover': { background: theme.colors.background.secondary },
    }),
    label: css({ color: theme.colors.text.secondary }),
    value: css(value),
    good: css({ ...value, color: theme.colors.success.text }),
    bad: css({ ...value, color: theme.colors.error.text }),
  };
};
