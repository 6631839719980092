import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { Alert, useStyles2 } from '@grafana/ui';
import { useCallback, useMemo, useState } from 'react';
import type { LogStats, LokiClient } from '~/api/loki';
import { bytes, count, seconds } from '~/app/format';
import { loadPreferences } from '~/app/preferences';
import { LOG_COST } from '~/datasources/loki/datasource';
import { LogList } from '~/panels/logs/LogList';
import type { LineActions } from '~/panels/logs/Row';
import { commonLabels, deduplicated, readLines, sorted, type LogLine } from '~/panels/logs/lines';
import { searchedBy } from '~/panels/logs/marks';
import { Choice, Spacer, Toolbar } from '../Toolbar';
import { costs, type PaneScene } from '../scene';
import type { ExploreQuery } from '../url';
import type { View } from '../view';
import { Context } from './Context';
import { Download } from './Download';
import { Fields } from './Fields';
import { LineToggles } from './LineToggles';
import { Patterns } from './Patterns';
import type { LabelTold } from './query';

interface Props {
  scene: PaneScene;
  client: LokiClient;
  /** What was asked. */
  queries: ExploreQuery[];
  view: View;
  onView: (changed: Partial<View>) => void;
  onLabel: LabelTold;
  onPattern: (pattern: string, isWanted: boolean) => void;
}

/** Lines, how many there are over time, and what they have in common. */
export function LogResults({ scene, client, queries, view, onView, onLabel, onPattern }: Props) {
  const styles = useStyles2(getStyles);
  const { volume, lines: runner } = scene.useState();
  const { data } = runner.useState();
  const all = useMemo(() => sorted(readLines(data?.series ?? []), view.order), [data?.series, view.order]);
  const lines = useMemo(() => deduplicated(all, view.dedup), [all, view.dedup]);
  const isFull = all.length >= view.limit;
  return (
    <section className={styles.results} aria-label="Logs">
      <div className={styles.volume}>
        <volume.Component model={volume} />
      </div>
      <Toolbar label="How logs are shown">
        <Choice
          label="What is shown"
          value={view.logs}
          options={TABS}
          onChange={(logs) => onView({ logs })}
        />
        {view.logs === 'lines' && <LineToggles view={view} onView={onView} />}
        <Spacer />
        <LogCost stats={costs<LogStats>(data?.series, LOG_COST)} shown={all.length} isFull={isFull} />
        <Download lines={lines} />
      </Toolbar>
      {data?.error && (
        <Alert severity="error" title="The query failed">
          {data.error.message}
        </Alert>
      )}
      {view.logs === 'lines' && (
        <Lines
          lines={lines}
          isAnswered={data?.state === 'Done'}
          client={client}
          queries={queries}
          view={view}
          onView={onView}
          onLabel={onLabel}
        />
      )}
      {view.logs === 'patterns' && (
        <Patterns scene={scene} client={client} queries={queries} onPattern={onPattern} />
      )}
      {view.logs === 'fields' && (
        <Fields
          scene={scene}
          client={client}
          queries={queries}
          columns={view.columns}
          onColumn={(name) => onView({ columns: toggled(view.columns, name) })}
          onLabel={onLabel}
        />
      )}
    </section>
  );
}

const TABS = [
  ['lines', 'Lines'],
  ['patterns', 'Patterns'],
  ['fields', 'Fields'],
] as const;

const toggled = (list: string[], item: string) =>
  list.includes(item) ? list.filter((each) => each !== item) : [...list, item];

interface LinesProps extends Pick<Props, 'client' | 'queries' | 'view' | 'onView' | 'onLabel'> {
  lines: LogLine[];
  isAnswered: boolean;
}

function Lines({ lines, isAnswered, client, queries, view, onView, onLabel }: LinesProps) {
  const styles = useStyles2(getStyles);
  const [around, setAround] = useState<LogLine>();
  const searched = useMemo(() => searchedBy(queries.map(({ expr }) => expr)), [queries]);
  const kinds = lines[0]?.kinds;
  const onContext = useCallback((line: LogLine) => setAround(line), []);
  const actions: LineActions = useMemo(
    () => ({
      onLabel: (name, value, operator) => onLabel(name, value, operator, { isStream: kinds?.[name] === 'I' }),
      onColumn: (name) => onView({ columns: toggled(view.columns, name) }),
      onContext,
    }),
    [onLabel, onView, onContext, kinds, view.columns],
  );
  const hiddenLabels = useMemo(
    () => (view.uniqueLabels ? commonLabels(lines) : {}),
    [lines, view.uniqueLabels],
  );
  const options = useMemo(
    () => ({
      showTime: view.time,
      showLabels: view.uniqueLabels,
      hiddenLabels,
      wrapLogMessage: view.wrap,
      prettifyLogMessage: view.prettify,
      enableLogDetails: true,
      columns: view.columns,
    }),
    [view, hiddenLabels],
  );
  if (!lines.length)
    return isAnswered ? (
      <p className={styles.note}>No lines in this time. Look further back, or ask for less.</p>
    ) : null;
  return (
    <div className={styles.lines}>
      <LogList
        lines={lines}
        options={options}
        timeZone={loadPreferences().timeZone}
        actions={actions}
        searched={searched}
      />
      {around && (
        <Context line={around} client={client} options={options} onClose={() => setAround(undefined)} />
      )}
    </div>
  );
}

function LogCost({ stats, shown, isFull }: { stats: LogStats[]; shown: number; isFull: boolean }) {
  const styles = useStyles2(getStyles);
  const sum = (name: 'totalBytesProcessed' | 'totalLinesProcessed' | 'execTime') =>
    stats.reduce((total, { summary }) => total + (summary?.[name] ?? 0), 0);
  if (!stats.length) return null;
  return (
    <span className={styles.cost} aria-label="What it cost">
      <b>{seconds(sum('execTime'))}</b> · {count(shown)} lines{isFull ? ' (there are more)' : ''} ·{' '}
      {bytes(sum('totalBytesProcessed'))} in {count(sum('totalLinesProcessed'))} lines read
    </span>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  results: css({ display: 'flex', flex: '1 1 auto', flexDirection: 'column', gap: theme.spacing(1) }),
  volume: css({ display: 'flex', height: 150, '& > *': { flex: '1 1 auto' } }),
  lines: css({
    background: theme.colors.background.primary,
    border: `1px solid ${theme.colors.border.weak}`,
    borderRadius: theme.shape.radius.default,
    display: 'flex',
    flex: '1 1 auto',
    height: 'max(420px, calc(100vh - 430px))',
    overflow: 'hidden',
  }),
  note: css({ color: theme.colors.text.secondary, padding: theme.spacing(2), textAlign: 'center' }),
  cost: css({
    color: theme.colors.text.secondary,
    fontSize: theme.typography.bodySmall.fontSize,
    fontVariantNumeric: 'tabular-nums',
    b: { color: theme.colors.text.primary, fontWeight: 400 },
  }),
});
