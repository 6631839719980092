import { css, cx } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { Button, Input, useStyles2 } from '@grafana/ui';
import { useCallback, useDeferredValue, useMemo, useState } from 'react';
import type { PrometheusClient } from '~/api/prometheus';
import { count } from '~/app/format';
import { useLoad } from '~/app/useLoad';
import type { PaneScene } from '../scene';
import { buildSelector, matching, type Chosen } from './selector';

interface Props {
  client: PrometheusClient;
  scene: PaneScene;
  onUse: (expr: string) => void;
}

/** More names than these are found by typing more of them. */
const NAMES_SHOWN = 300;
const VALUES_SHOWN = 500;

/** Finds a metric, then its labels and their values, and writes what selects them. */
export function MetricsBrowser({ client, scene, onUse }: Props) {
  const styles = useStyles2(getStyles);
  const [metric, setMetric] = useState('');
  const [chosen, setChosen] = useState<Chosen>({});
  const selector = buildSelector(metric, chosen);
  const chooseMetric = (name: string) => {
    setMetric(name === metric ? '' : name);
    setChosen({});
  };
  const toggleLabel = (name: string) =>
    setChosen(({ [name]: values, ...rest }) => (values ? rest : { ...rest, [name]: [] }));
  const toggleValue = (name: string, value: string) =>
    setChosen((current) => {
      const values = current[name] ?? [];
      const changed = values.includes(value) ? values.filter((each) => each !== value) : [...values, value];
      return { ...current, [name]: changed };
    });
  return (
    <section className={styles.browser} aria-label="Metrics browser">
      <div className={styles.columns}>
        <Metrics client={client} scene={scene} metric={metric} onChoose={chooseMetric} />
        <LabelNames client={client} scene={scene} metric={metric} chosen={chosen} onToggle={toggleLabel} />
        {Object.keys(chosen).map((name) => (
          <Values
            key={name}
            name={name}
            client={client}
            scene={scene}
            // What the other labels leave of it.
            selector={buildSelector(metric, { ...chosen, [name]: [] })}
            values={chosen[name] ?? []}
            onToggle={(value) => toggleValue(name, value)}
          />
        ))}
      </div>
      <div className={styles.result}>
        <code className={styles.selector}>{selector || 'Choose a metric or the value of a label.'}</code>
        <Button size="sm" disabled={!selector} onClick={() => onUse(selector)}>
          Use query
        </Button>
        <Button
          size="sm"
          variant="secondary"
          disabled={!selector}
          onClick={() => onUse(`rate(${selector}[$__rate_interval])`)}
        >
          Use as rate
        </Button>
        <Button
          size="sm"
          variant="secondary"
          fill="text"
          onClick={() => {
            setMetric('');
            setChosen({});
          }}
        >
          Clear
        </Button>
      </div>
    </section>
  );
}

interface ColumnProps {
  title: string;
  isLoading: boolean;
  error: Error | undefined;
  filter: string;
  onFilter: (text: string) => void;
  note?: string | undefined;
  children: React.ReactNode;
}

function Column({ title, isLoading, error, filter, onFilter, note, children }: ColumnProps) {
  const styles = useStyles2(getStyles);
  return (
    <div className={styles.column}>
      <div className={styles.title}>{title}</div>
      <Input
        aria-label={`Find in ${title}`}
        placeholder="Find"
        value={filter}
        onChange={(event) => onFilter(event.currentTarget.value)}
      />
      <ul className={styles.list} aria-label={title} tabIndex={0}>
        {children}
      </ul>
      <div className={styles.note}>{error ? error.message : isLoading ? 'Loading' : note}</div>
    </div>
  );
}

interface EntryProps {
  name: string;
  isChosen: boolean;
  onChoose: () => void;
  detail?: string | undefined;
  title?: string | undefined;
}

function Entry({ name, isChosen, onChoose, detail, title }: EntryProps) {
  const styles = useStyles2(getStyles);
  return (
    <li>
      <button
        type="button"
        className={cx(styles.entry, isChosen && styles.chosen)}
        aria-pressed={isChosen}
        title={title}
        onClick={onChoose}
      >
        <span className={styles.name}>{name || '(empty)'}</span>
        {detail && <span className={styles.detail}>{detail}</span>}
      </button>
    </li>
  );
}

interface Common {
  client: PrometheusClient;
  scene: PaneScene;
}

const rangeS = (scene: PaneScene) => {
  const { startMs, endMs } = scene.range();
  return { start: startMs / 1000, end: endMs / 1000 };
};

function Metrics({
  client,
  scene,
  metric,
  onChoose,
}: Common & { metric: string; onChoose: (name: string) => void }) {
  const [filter, setFilter] = useState('');
  const deferred = useDeferredValue(filter);
  const names = useLoad(useCallback(() => client.labelValues('__name__', rangeS(scene)), [client, scene]));
  const metadata = useLoad(useCallback(() => client.metadata(), [client]));
  const found = useMemo(() => matching(names.value ?? [], deferred), [names.value, deferred]);
  return (
    <Column
      title="Metrics"
      isLoading={names.loading}
      error={names.error}
      filter={filter}
      onFilter={setFilter}
      note={
        found.length > NAMES_SHOWN
          ? `${count(NAMES_SHOWN)} of ${count(found.length)} shown`
          : `${count(found.length)} metrics`
      }
    >
      {found.slice(0, NAMES_SHOWN).map((name) => {
        const [about] = metadata.value?.[name] ?? [];
        return (
          <Entry
            key={name}
            name={name}
            isChosen={name === metric}
            onChoose={() => onChoose(name)}
            detail={about?.type}
            title={about?.help}
          />
        );
      })}
    </Column>
  );
}

function LabelNames({
  client,
  scene,
  metric,
  chosen,
  onToggle,
}: Common & { metric: string; chosen: Chosen; onToggle: (name: string) => void }) {
  const [filter, setFilter] = useState('');
  const selector = buildSelector(metric, {});
  const { value, loading, error } = useLoad(
    useCallback(
      () => client.labelNames({ ...rangeS(scene), 'match[]': selector || undefined }),
      [client, scene, selector],
    ),
  );
  const names = matching(
    (value ?? []).filter((name) => name !== '__name__'),
    filter,
  );
  return (
    <Column
      title="Labels"
      isLoading={loading}
      error={error}
      filter={filter}
      onFilter={setFilter}
      note={`${count(names.length)} labels`}
    >
      {names.map((name) => (
        <Entry key={name} name={name} isChosen={name in chosen} onChoose={() => onToggle(name)} />
      ))}
    </Column>
  );
}

interface ValuesProps extends Common {
  name: string;
  selector: string;
  values: string[];
  onToggle: (value: string) => void;
}

/** Values of a label, with how many series have each where that can be counted. */
function Values({ name, client, scene, selector, values, onToggle }: ValuesProps) {
  const [filter, setFilter] = useState('');
  const load = useCallback(
    () => countedValues(client, scene, name, selector),
    [client, scene, name, selector],
  );
  const { value: counted, loading, error } = useLoad(load);
  const names = matching(
    (counted ?? []).map(([value]) => value),
    filter,
  );
  const counts = new Map(counted);
  const detail = (value: string) => {
    const series = counts.get(value);
    return series === undefined ? undefined : count(series);
  };
  return (
    <Column
      title={name}
      isLoading={loading}
      error={error}
      filter={filter}
      onFilter={setFilter}
      note={`${count(names.length)} values`}
    >
      {names.slice(0, VALUES_SHOWN).map((value) => (
        <Entry
          key={value}
          name={value}
          isChosen={values.includes(value)}
          onChoose={() => onToggle(value)}
          detail={detail(value)}
        />
      ))}
    </Column>
  );
}

/** Values with their number of series, most first. Where no metric or label narrows it down, only the values: to count everything would cost too much. */
async function countedValues(
  client: PrometheusClient,
  scene: PaneScene,
  name: string,
  selector: string,
): Promise<[value: string, series: number | undefined][]> {
  const range = rangeS(scene);
  const all = await client.labelValues(name, { ...range, 'match[]': selector || undefined });
  if (!selector) return all.map((value) => [value, undefined]);
  const { data } = await client.query(`count by (${JSON.stringify(name)}) (${selector})`, range.end);
  const counts = new Map(
    data.resultType === 'vector'
      ? data.result.map(({ metric, value }) => [metric[name] ?? '', Number(value?.[1] ?? 0)])
      : [],
  );
  const counted = all.map((value): [string, number | undefined] => [value, counts.get(value) ?? 0]);
  return counted.sort(([, a = 0], [, b = 0]) => b - a);
}

const getStyles = (theme: GrafanaTheme2) => ({
  browser: css({
    background: theme.colors.background.primary,
    border: `1px solid ${theme.colors.border.weak}`,
    borderRadius: theme.shape.radius.default,
    padding: theme.spacing(1),
  }),
  columns: css({ display: 'flex', gap: theme.spacing(1), overflowX: 'auto' }),
  column: css({ display: 'flex', flex: '1 0 240px', flexDirection: 'column', gap: 4, maxWidth: 460 }),
  title: css({ fontWeight: theme.typography.fontWeightMedium }),
  list: css({ height: 240, listStyle: 'none', margin: 0, overflowY: 'auto', padding: 0 }),
  entry: css({
    alignItems: 'baseline',
    background: 'none',
    border: 0,
    borderRadius: theme.shape.radius.default,
    color: theme.colors.text.primary,
    display: 'flex',
    fontFamily: theme.typography.fontFamilyMonospace,
    fontSize: theme.typography.bodySmall.fontSize,
    gap: theme.spacing(1),
    justifyContent: 'space-between',
    padding: '2px 6px',
    textAlign: 'left',
    width: '100%',
    '&:hover': { background: theme.colors.action.hover },
  }),
  chosen: css({ background: theme.colors.action.selected, color: theme.colors.text.maxContrast }),
  name: css({ overflowWrap: 'anywhere' }),
  detail: css({ color: theme.colors.text.secondary, flex: '0 0 auto' }),
  note: css({ color: theme.colors.text.secondary, fontSize: theme.typography.bodySmall.fontSize }),
  result: css({
    alignItems: 'center',
    display: 'flex',
    flexWrap: 'wrap',
    gap: theme.spacing(1),
    marginTop: theme.spacing(1),
  }),
  selector: css({ flex: '1 1 200px', overflowWrap: 'anywhere' }),
});
