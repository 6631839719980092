import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { Button, Select, useStyles2 } from '@grafana/ui';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { LokiClient } from '~/api/loki';
import { PrometheusClient } from '~/api/prometheus';
import { QueryRow } from './QueryRow';
import { rememberRun } from './history';
import { Live } from './logs/Live';
import { LogResults } from './logs/LogResults';
import { isMetricQuery, withLabel, withPattern, type LabelTold } from './logs/query';
import { MetricResults } from './metrics/MetricResults';
import { MetricsBrowser } from './metrics/MetricsBrowser';
import { PaneScene, type Source } from './scene';
import { refIdAt, type ExploreQuery, type PaneState } from './url';
import type { View } from './view';

interface Props {
  name: string;
  state: PaneState;
  source: Source;
  sources: { uid: string; name: string }[];
  /** A step that the way back undoes; without one where `isSmall`. */
  onChange: (changed: Partial<PaneState>, isSmall?: boolean) => void;
  actions: React.ReactNode;
}

/** One half of Explore, or all of it: queries, and what they found. */
export function Pane({ name, state, source, sources, onChange, actions }: Props) {
  const styles = useStyles2(getStyles);
  const [drafts, setDrafts] = useState(state.queries);
  const [isBrowsing, setBrowsing] = useState(false);
  const [isLive, setLive] = useState(false);
  const { scene, isActive } = usePaneScene(source, state, onChange);
  const isLogs = source.type === 'loki';
  const { prometheus, loki } = useMemo(
    () => ({ prometheus: new PrometheusClient(source.url), loki: new LokiClient(source.url) }),
    [source.url],
  );

  // A link, or the way back, brings other queries.
  const asked = JSON.stringify(state.queries);
  useEffect(() => setDrafts(JSON.parse(asked) as ExploreQuery[]), [asked]);

  const run = (queries: ExploreQuery[] = drafts) => {
    rememberRun(
      source.uid,
      queries.map(({ expr }) => expr),
    );
    setDrafts(queries);
    if (JSON.stringify(queries) === asked) scene.run(queries, state.view);
    else onChange({ datasource: source.uid, queries });
  };
  const latest = useRef({ drafts, run });
  latest.current = { drafts, run };

  const changeAll = useCallback((change: (expr: string) => string) => {
    const changed = latest.current.drafts.map((query) =>
      isMetricQuery(query.expr) ? query : { ...query, expr: change(query.expr) },
    );
    latest.current.run(changed);
  }, []);
  const onLabel: LabelTold = useCallback(
    (label, value, operator, origin) => changeAll((expr) => withLabel(expr, label, value, operator, origin)),
    [changeAll],
  );
  const onPattern = useCallback(
    (pattern: string, isWanted: boolean) => changeAll((expr) => withPattern(expr, pattern, isWanted)),
    [changeAll],
  );
  const onView = useCallback(
    (changed: Partial<View>) => onChange({ view: { ...state.view, ...changed } }, true),
    [onChange, state.view],
  );
  const set = (index: number, changed: Partial<ExploreQuery>) =>
    setDrafts((current) => current.map((query, at) => (at === index ? { ...query, ...changed } : query)));
  const renamed = (queries: ExploreQuery[]) =>
    queries.map((query, index) => ({ ...query, refId: refIdAt(index) }));

  const shown = state.queries.filter(({ expr, hide }) => expr.trim() && !hide);
  const followed = shown.find(({ expr }) => isLogs && !isMetricQuery(expr));
  const hasSeries = shown.some(({ expr }) => !isLogs || isMetricQuery(expr));
  const { timePicker, refreshPicker } = scene.state;
  return (
    <section className={styles.pane} aria-label={name}>
      <div className={styles.bar}>
        <Select
          aria-label="Data source"
          width={22}
          options={sources.map(({ name: label, uid: value }) => ({ label, value }))}
          value={source.uid}
          onChange={({ value }) =>
            value && onChange({ datasource: value, queries: [{ refId: 'A', expr: '' }] })
          }
        />
        {actions}
        <span className={styles.spacer} />
        {isActive && <timePicker.Component model={timePicker} />}
        {isActive && <refreshPicker.Component model={refreshPicker} />}
      </div>
      {drafts.map((query, index) => (
        <QueryRow
          key={query.refId}
          query={query}
          isLogs={isLogs}
          client={isLogs ? loki : prometheus}
          range={() => scene.range()}
          onChange={(expr) => set(index, { expr })}
          onRun={() => run()}
          onHide={() => run(drafts.map((each, at) => (at === index ? { ...each, hide: !each.hide } : each)))}
          onRemove={
            drafts.length > 1 ? () => run(renamed(drafts.filter((_, at) => at !== index))) : undefined
          }
        />
      ))}
      <QueryButtons
        isLogs={isLogs}
        onRun={() => run()}
        onAdd={() => setDrafts([...drafts, { refId: refIdAt(drafts.length), expr: '' }])}
        isBrowsing={isBrowsing}
        onBrowse={() => setBrowsing(!isBrowsing)}
        isLive={isLive}
        mayLive={isLive || followed !== undefined}
        onLive={() => setLive(!isLive)}
      />
      {isBrowsing && !isLogs && (
        <MetricsBrowser
          client={prometheus}
          scene={scene}
          onUse={(expr) => {
            const at = Math.max(
              0,
              drafts.findIndex(({ expr: own }) => !own.trim()),
            );
            run(drafts.map((query, index) => (index === at ? { ...query, expr } : query)));
            setBrowsing(false);
          }}
        />
      )}
      {isActive && (
        <Results
          scene={scene}
          loki={loki}
          prometheus={isLogs ? undefined : prometheus}
          shown={shown}
          hasSeries={hasSeries}
          followed={followed}
          live={isLive ? () => setLive(false) : undefined}
          view={state.view}
          onView={onView}
          onLabel={onLabel}
          onPattern={onPattern}
        />
      )}
      {!shown.length && <Empty isLogs={isLogs} onUse={(expr) => run([{ refId: 'A', expr }])} />}
    </section>
  );
}

interface ButtonsProps {
  isLogs: boolean;
  onRun: () => void;
  onAdd: () => void;
  isBrowsing: boolean;
  onBrowse: () => void;
  isLive: boolean;
  mayLive: boolean;
  onLive: () => void;
}

/** What can be done with queries. */
function QueryButtons(props: ButtonsProps) {
  const { isLogs, onRun, onAdd, isBrowsing, onBrowse, isLive, mayLive, onLive } = props;
  const styles = useStyles2(getStyles);
  return (
    <div className={styles.bar}>
      <Button icon="play" onClick={onRun} tooltip="Shift+Enter">
        Run query
      </Button>
      <Button icon="plus" variant="secondary" onClick={onAdd}>
        Add query
      </Button>
      {isLogs ? (
        <Button icon="play" variant="secondary" aria-pressed={isLive} disabled={!mayLive} onClick={onLive}>
          Live
        </Button>
      ) : (
        <Button icon="list-ul" variant="secondary" aria-expanded={isBrowsing} onClick={onBrowse}>
          Metrics browser
        </Button>
      )}
    </div>
  );
}

interface ResultsProps {
  scene: PaneScene;
  loki: LokiClient;
  prometheus: PrometheusClient | undefined;
  /** The queries that are asked. */
  shown: ExploreQuery[];
  hasSeries: boolean;
  /** The first that asks for lines. */
  followed: ExploreQuery | undefined;
  /** Ends that lines are followed; absent where they are not. */
  live: (() => void) | undefined;
  view: View;
  onView: (changed: Partial<View>) => void;
  onLabel: LabelTold;
  onPattern: (pattern: string, isWanted: boolean) => void;
}

/** What was found: series, lines, or both. */
function Results(props: ResultsProps) {
  const { scene, loki, prometheus, shown, hasSeries, followed, live, view, onView, onLabel, onPattern } =
    props;
  if (live && followed)
    return <Live client={loki} query={followed.expr} view={view} onView={onView} onStop={live} />;
  return (
    <>
      {hasSeries && <MetricResults scene={scene} view={view} onView={onView} client={prometheus} />}
      {followed && (
        <LogResults
          scene={scene}
          client={loki}
          queries={shown}
          view={view}
          onView={onView}
          onLabel={onLabel}
          onPattern={onPattern}
        />
      )}
    </>
  );
}

/** The scene of a pane: it follows the address, and the address follows it. */
function usePaneScene(source: Source, state: PaneState, onChange: Props['onChange']) {
  const { uid, type, url } = source;
  const [isActive, setActive] = useState(false);
  // What is there at first; afterwards it is changed, not made anew.
  const initial = useRef(state);
  initial.current = state;
  const scene = useMemo(
    () => new PaneScene({ uid, type, url }, initial.current, initial.current.view),
    [uid, type, url],
  );
  const told = useRef(onChange);
  told.current = onChange;

  useEffect(() => {
    const timeRange = scene.state.$timeRange;
    const following = timeRange.subscribeToState(({ from, to }, before) => {
      if (from !== before.from || to !== before.to) told.current({ from, to }, true);
    });
    const deactivate = scene.activate();
    const leaveLines = scene.state.lines.activate();
    setActive(true);
    return () => {
      following.unsubscribe();
      leaveLines();
      deactivate();
      setActive(false);
    };
  }, [scene]);

  const { from, to, view } = state;
  useEffect(() => scene.showTime(from, to), [scene, from, to]);
  useEffect(() => scene.setStyle(view.style), [scene, view.style]);
  const asked = JSON.stringify(state.queries);
  const { exemplars, limit } = view;
  useEffect(() => {
    scene.run(JSON.parse(asked) as ExploreQuery[], initial.current.view);
  }, [scene, asked, exemplars, limit]);
  return { scene, isActive };
}

const EXAMPLES = {
  metrics: [
    ['What is up', 'up'],
    [
      'Busy processors',
      '1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[$__rate_interval]))',
    ],
    ['Largest metrics', 'topk(10, count by (__name__) ({__name__=~".+"}))'],
  ],
  logs: [
    ['Everything', '{service_name=~".+"}'],
    ['Errors', '{service_name=~".+"} | detected_level=~"error|critical"'],
    ['Lines per second by service', 'sum by (service_name) (rate({service_name=~".+"}[$__auto]))'],
  ],
} as const;

/** Where to begin. */
function Empty({ isLogs, onUse }: { isLogs: boolean; onUse: (expr: string) => void }) {
  const styles = useStyles2(getStyles);
  return (
    <div className={styles.empty}>
      <p>Write a query, or begin with one of these.</p>
      {EXAMPLES[isLogs ? 'logs' : 'metrics'].map(([title, expr]) => (
        <button key={expr} type="button" className={styles.example} onClick={() => onUse(expr)}>
          <span>{title}</span>
          <code>{expr}</code>
        </button>
      ))}
    </div>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  pane: css({
    display: 'flex',
    flex: '1 1 0',
    flexDirection: 'column',
    gap: theme.spacing(1),
    minWidth: 0,
  }),
  bar: css({ alignItems: 'center', display: 'flex', flexWrap: 'wrap', gap: theme.spacing(1) }),
  spacer: css({ flex: '1 1 auto' }),
  empty: css({
    alignItems: 'center',
    color: theme.colors.text.secondary,
    display: 'flex',
    flexDirection: 'column',
    gap: theme.spacing(1),
    padding: theme.spacing(6, 2),
  }),
  example: css({
    background: theme.colors.background.primary,
    border: `1px solid ${theme.colors.border.weak}`,
    borderRadius: theme.shape.radius.default,
    color: theme.colors.text.primary,
    display: 'flex',
    flexWrap: 'wrap',
    gap: theme.spacing(0.5, 2),
    maxWidth: '100%',
    padding: theme.spacing(1, 2),
    textAlign: 'left',
    width: 940,
    code: { background: 'none', border: 0, color: theme.colors.text.secondary, overflowWrap: 'anywhere' },
    span: { flex: '0 0 190px' },
    '&:hover': { borderColor: theme.colors.border.strong },
  }),
});
