import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { locationService } from '@grafana/runtime';
import { Button, IconButton, Select, useStyles2 } from '@grafana/ui';
import { useCallback, useEffect, useMemo, useState } from 'react';
import { useLocation } from 'react-router-dom';
import { LokiClient } from '~/api/loki';
import { PrometheusClient } from '~/api/prometheus';
import { useTitle } from '~/app/Page';
import { catalog } from '~/datasources/catalog';
import { Editor } from '~/explore/editor/Editor';
import { logql } from '~/explore/editor/logql';
import { promql } from '~/explore/editor/promql';
import { exploreResults, withLabel, type Results } from '~/explore/scene';
import { exploreHref, readExplore, type ExploreQuery } from '~/explore/url';

const KINDS = ['prometheus', 'loki'];

/** Queries written and run by hand, on metrics or logs. Its address says all of it. */
export default function Explore() {
  useTitle('Explore');
  const { search } = useLocation();
  const initial = useMemo(() => readExplore(new URLSearchParams(search)), [search]);
  const sources = catalog.filter(({ type }) => KINDS.includes(type));
  const uid = initial.datasource ?? sources[0]?.uid ?? '';
  const source = sources.find((each) => each.uid === uid) ?? sources[0];
  const styles = useStyles2(getStyles);
  const change = (value: string) =>
    locationService.push(exploreHref({ ...initial, datasource: value, queries: [{ refId: 'A', expr: '' }] }));
  if (!source) return null;
  return (
    <div className={styles.page}>
      <div className={styles.bar}>
        <h1 className={styles.title}>Explore</h1>
        <Select
          aria-label="Data source"
          width={24}
          options={sources.map(({ name, uid: value }) => ({ label: name, value }))}
          value={source.uid}
          onChange={({ value = '' }) => change(value)}
        />
      </div>
      <Pane
        key={source.uid}
        source={{ uid: source.uid, type: source.type, url: source.url ?? '' }}
        state={initial}
      />
    </div>
  );
}

interface PaneProps {
  source: { uid: string; type: string; url: string };
  state: ReturnType<typeof readExplore>;
}

function Pane({ source, state }: PaneProps) {
  const styles = useStyles2(getStyles);
  const [queries, setQueries] = useState(state.queries);
  const [results, setResults] = useState<Results>();
  const { uid, type } = source;
  const { from, to } = state;

  const onLabel = useCallback((name: string, value: string, operator: '=' | '!=') => {
    setQueries((current) =>
      current.map((query) => ({ ...query, expr: withLabel(query.expr, name, value, operator) })),
    );
  }, []);

  useEffect(() => {
    const made = exploreResults({ source: { uid, type }, from, to, onLabel });
    const following = made.timeRange.subscribeToState((range) =>
      remember(uid, { from: range.from, to: range.to }),
    );
    setResults(made);
    return () => following.unsubscribe();
    // The time range of the address is where it begins; from then on it says what was chosen.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [uid, type, onLabel]);

  // A link, or the way back, brings other queries.
  useEffect(() => setQueries(state.queries), [state.queries]);
  useEffect(() => {
    if (results && state.queries.some(({ expr }) => expr.trim()))
      results.run(state.queries.filter(({ expr }) => expr.trim()));
  }, [results, state.queries]);

  const run = () => {
    const range = results?.timeRange.state ?? { from, to };
    const href = exploreHref({ datasource: uid, queries, from: range.from, to: range.to });
    const isSame = href === `${window.location.pathname}${window.location.search}`;
    if (isSame) results?.run(queries.filter(({ expr }) => expr.trim()));
    else locationService.push(href);
  };
  const set = (index: number, expr: string) =>
    setQueries((current) => current.map((query, at) => (at === index ? { ...query, expr } : query)));
  const add = () =>
    setQueries((current) => [...current, { refId: String.fromCharCode(65 + current.length), expr: '' }]);
  const remove = (index: number) => setQueries((current) => current.filter((_, at) => at !== index));

  return (
    <>
      {queries.map((query, index) => (
        <QueryRow
          key={query.refId}
          query={query}
          source={source}
          results={results}
          onChange={(expr) => set(index, expr)}
          onRun={run}
          onRemove={queries.length > 1 ? () => remove(index) : undefined}
        />
      ))}
      <div className={styles.bar}>
        <Button icon="play" onClick={run}>
          Run query
        </Button>
        <Button icon="plus" variant="secondary" onClick={add}>
          Add query
        </Button>
      </div>
      {results && state.queries.some(({ expr }) => expr.trim()) && (
        <div className={styles.results}>
          <results.scene.Component model={results.scene} />
        </div>
      )}
    </>
  );
}

/** The address follows the time range, without a step in the history for each refresh. */
function remember(uid: string, range: { from: string; to: string }): void {
  const current = readExplore(new URLSearchParams(window.location.search));
  const href = exploreHref({ ...current, datasource: uid, ...range });
  window.history.replaceState(window.history.state, '', href);
}

interface RowProps {
  query: ExploreQuery;
  source: { type: string; url: string };
  results: Results | undefined;
  onChange: (expr: string) => void;
  onRun: () => void;
  onRemove: (() => void) | undefined;
}

function QueryRow({ query, source, results, onChange, onRun, onRemove }: RowProps) {
  const styles = useStyles2(getStyles);
  const { type, url } = source;
  const language = useMemo(() => {
    if (type !== 'loki') return promql(new PrometheusClient(url));
    const range = () => {
      const value = results?.timeRange.state.value;
      return {
        startMs: value?.from.valueOf() ?? Date.now() - 3_600_000,
        endMs: value?.to.valueOf() ?? Date.now(),
      };
    };
    return logql(new LokiClient(url), range);
  }, [type, url, results]);
  const isLogs = type === 'loki';
  return (
    <div className={styles.query}>
      <span className={styles.refId}>{query.refId}</span>
      <Editor
        value={query.expr}
        onChange={onChange}
        onRun={onRun}
        language={language}
        label={`Query ${query.refId}`}
        placeholder={
          isLogs
            ? 'LogQL, such as {service_name="api"} |= "error"'
            : 'PromQL, such as rate(http_requests_total[5m])'
        }
      />
      {onRemove && (
        <IconButton name="trash-alt" aria-label={`Remove query ${query.refId}`} onClick={onRemove} />
      )}
    </div>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  page: css({
    display: 'flex',
    flex: '1 1 auto',
    flexDirection: 'column',
    gap: theme.spacing(1),
    padding: theme.spacing(2, 3),
  }),
  bar: css({ alignItems: 'center', display: 'flex', flexWrap: 'wrap', gap: theme.spacing(1) }),
  title: css({ fontSize: theme.typography.h2.fontSize, margin: theme.spacing(0, 2, 0, 0) }),
  query: css({ alignItems: 'center', display: 'flex', gap: theme.spacing(1) }),
  refId: css({ color: theme.colors.primary.text, fontFamily: theme.typography.fontFamilyMonospace }),
  results: css({ display: 'flex', flex: '1 1 auto', minHeight: 720 }),
});
