import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { Alert, useStyles2 } from '@grafana/ui';
import { useEffect, useState } from 'react';
import type { PrometheusClient } from '~/api/prometheus';
import { count, seconds } from '~/app/format';
import type { QueryCost } from '~/datasources/prometheus/datasource';
import type { PaneScene } from '../scene';
import { CostDetails } from './Cost';
import { counting, plan, type PlanNode } from './tree';

interface Props {
  costs: QueryCost[];
  client: PrometheusClient;
  scene: PaneScene;
}

/** How each query is read, and what each part of it takes. */
export function Explain({ costs, client, scene }: Props) {
  const styles = useStyles2(getStyles);
  if (!costs.length) return <p className={styles.note}>Run a query to see how it is evaluated.</p>;
  return costs.map((cost, index) => (
    <section key={`${index} ${cost.expr}`} className={styles.query} aria-label={`Plan of ${cost.expr}`}>
      <code className={styles.expr}>{cost.expr}</code>
      <CostDetails cost={cost} />
      <Plan expr={cost.expr} atS={scene.range().endMs / 1000} client={client} />
    </section>
  ));
}

interface Measured {
  series?: number;
  samples?: number;
  tookS?: number;
}

interface Row {
  node: PlanNode;
  depth: number;
}

function* rows(node: PlanNode, depth = 0): Generator<Row> {
  yield { node, depth };
  for (const child of node.children) yield* rows(child, depth + 1);
}

/** The tree of an expression. Each part is evaluated once by itself, at the end of the time shown, to count what it gives. */
function Plan({ expr, atS, client }: { expr: string; atS: number; client: PrometheusClient }) {
  const styles = useStyles2(getStyles);
  const [tree, setTree] = useState<Row[]>();
  const [measured, setMeasured] = useState<Measured[]>([]);
  const [error, setError] = useState<string>();

  useEffect(() => {
    const abort = new AbortController();
    setError(undefined);
    setMeasured([]);
    const follow = async () => {
      const found = [...rows(plan(await client.parse(expr)))];
      if (abort.signal.aborted) return;
      setTree(found);
      // One after another: looking at a query must not load the server more than the query itself.
      for (const [index, { node }] of found.entries()) {
        const result = await measure(node, atS, client, abort.signal);
        if (abort.signal.aborted) return;
        setMeasured((current) => Object.assign([...current], { [index]: result }));
      }
    };
    follow().catch((reason: unknown) => {
      if (!abort.signal.aborted) setError(reason instanceof Error ? reason.message : String(reason));
    });
    return () => abort.abort();
  }, [expr, atS, client]);

  if (error) {
    return (
      <Alert severity="warning" title="This server does not tell how it reads the query">
        {error}
      </Alert>
    );
  }
  const slowest = Math.max(1e-9, ...measured.map((each) => each?.tookS ?? 0));
  return (
    <div className={styles.scroller} role="region" aria-label="Parts of the query" tabIndex={0}>
      <table className={styles.table}>
        <thead>
          <tr>
            <th scope="col">Part</th>
            <th scope="col">Does</th>
            <th scope="col" className={styles.number}>
              Series
            </th>
            <th scope="col" className={styles.number}>
              Samples read
            </th>
            <th scope="col" className={styles.number}>
              Time
            </th>
            <th scope="col" aria-label="Share of the time" />
          </tr>
        </thead>
        <tbody>
          {tree?.map(({ node, depth }, index) => {
            const { series, samples, tookS } = measured[index] ?? {};
            return (
              <tr key={index}>
                <td className={styles.part} style={{ paddingLeft: 8 + depth * 18 }} title={node.expr}>
                  <span className={styles.branch}>{depth ? '└ ' : ''}</span>
                  {node.title}
                </td>
                <td className={styles.kind}>{node.kind}</td>
                <td className={styles.number}>{series === undefined ? '' : count(series)}</td>
                <td className={styles.number}>{samples === undefined ? '' : count(samples)}</td>
                <td className={styles.number}>{tookS === undefined ? '' : seconds(tookS)}</td>
                <td className={styles.barCell}>
                  <div className={styles.bar} style={{ width: `${(100 * (tookS ?? 0)) / slowest}%` }} />
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      <p className={styles.note}>
        Each part is evaluated by itself at the end of the time shown; a range query does so at each step.
      </p>
    </div>
  );
}

/** What a part gives and takes; nothing where it cannot be asked for by itself. */
async function measure(
  node: PlanNode,
  atS: number,
  client: PrometheusClient,
  signal: AbortSignal,
): Promise<Measured> {
  const asked = counting(node);
  if (!asked) return {};
  try {
    const { data, stats } = await client.query(asked, atS, { signal, stats: true });
    const series = data.resultType === 'vector' ? Number(data.result[0]?.value?.[1] ?? 0) : undefined;
    const samples = stats?.samples.samplesRead ?? stats?.samples.totalQueryableSamples;
    return {
      ...(series === undefined ? {} : { series }),
      ...(samples === undefined ? {} : { samples }),
      ...(stats ? { tookS: stats.timings.execTotalTime } : {}),
    };
  } catch {
    return {};
  }
}

const getStyles = (theme: GrafanaTheme2) => ({
  query: css({
    background: theme.colors.background.primary,
    border: `1px solid ${theme.colors.border.weak}`,
    borderRadius: theme.shape.radius.default,
    display: 'flex',
    flexDirection: 'column',
    gap: theme.spacing(2),
    padding: theme.spacing(2),
  }),
  expr: css({ alignSelf: 'flex-start', overflowWrap: 'anywhere' }),
  scroller: css({ overflowX: 'auto' }),
  table: css({
    borderCollapse: 'collapse',
    width: '100%',
    'th, td': { borderBottom: `1px solid ${theme.colors.border.weak}`, padding: theme.spacing(0.5, 1) },
    th: { color: theme.colors.text.secondary, fontWeight: 400, textAlign: 'left' },
    'tbody tr:hover': { background: theme.colors.action.hover },
  }),
  part: css({ fontFamily: theme.typography.fontFamilyMonospace, whiteSpace: 'nowrap' }),
  branch: css({ color: theme.colors.text.disabled }),
  kind: css({ color: theme.colors.text.secondary, whiteSpace: 'nowrap' }),
  number: css({
    fontVariantNumeric: 'tabular-nums',
    textAlign: 'right !important' as 'right',
    whiteSpace: 'nowrap',
  }),
  barCell: css({ width: 140 }),
  bar: css({ background: theme.colors.primary.main, height: 8 }),
  note: css({
    color: theme.colors.text.secondary,
    fontSize: theme.typography.bodySmall.fontSize,
    margin: '8px 0 0',
  }),
});
