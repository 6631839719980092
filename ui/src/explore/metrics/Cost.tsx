import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { useStyles2 } from '@grafana/ui';
import { count, seconds } from '~/app/format';
import type { QueryCost } from '~/datasources/prometheus/datasource';
import { writeDuration } from '~/datasources/prometheus/interval';
import { Sparkline } from '../Sparkline';

/** Queries that take longer than this are marked, in seconds. */
const SLOW_S = 1;

interface Props {
  costs: QueryCost[];
  series: number;
  onExplain: (() => void) | undefined;
}

const total = (costs: QueryCost[], of: (cost: QueryCost) => number) =>
  costs.reduce((sum, cost) => sum + of(cost), 0);

/** What queries cost, in a line. */
export function CostSummary({ costs, series, onExplain }: Props) {
  const styles = useStyles2(getStyles);
  if (!costs.length) return null;
  const took = total(costs, ({ timings }) => timings.execTotalTime);
  const read = total(costs, ({ samples }) => samples.samplesRead ?? samples.totalQueryableSamples);
  const step = costs[0]?.step ?? 0;
  const text = [
    `${count(series)} series`,
    `${count(read)} samples read`,
    ...(step ? [`step ${writeDuration(step * 1000)}`] : []),
  ].join(' · ');
  return (
    <span className={styles.summary} aria-label="What it cost">
      <span className={took > SLOW_S ? styles.slow : styles.fast}>{seconds(took)}</span> · {text}
      {onExplain && (
        <button type="button" className={styles.link} onClick={onExplain}>
          Explain
        </button>
      )}
    </span>
  );
}

/** What one query cost, part by part. */
export function CostDetails({ cost }: { cost: QueryCost }) {
  const styles = useStyles2(getStyles);
  const { timings, samples } = cost;
  const parts: [name: string, value: number, help: string][] = [
    ['Waited', timings.execQueueTime, 'for its turn among other queries'],
    ['Prepared', timings.queryPreparationTime, 'found series and where their samples are'],
    ['Evaluated', timings.innerEvalTime, 'read samples and calculated'],
    ['Sorted', timings.resultSortTime, 'put the result into order'],
  ];
  const all = Math.max(
    1e-9,
    parts.reduce((sum, [, value]) => sum + value, 0),
  );
  const steps = samples.totalQueryableSamplesPerStep ?? [];
  return (
    <div className={styles.details}>
      <table className={styles.table} aria-label="Where the time went">
        <tbody>
          {parts.map(([name, value, help]) => (
            <tr key={name} title={help}>
              <th scope="row">{name}</th>
              <td className={styles.number}>{seconds(value)}</td>
              <td className={styles.barCell}>
                <div className={styles.bar} style={{ width: `${(100 * value) / all}%` }} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <table className={styles.table} aria-label="What was read">
        <tbody>
          {samples.samplesRead !== undefined && (
            <Read name="Samples read" value={samples.samplesRead} help="each once, from memory or disk" />
          )}
          <Read
            name="Samples used"
            value={samples.totalQueryableSamples}
            help="once for each step that looked at them"
          />
          <Read name="At most at once" value={samples.peakSamples} help="held in memory" />
        </tbody>
      </table>
      {steps.length > 1 && (
        <div className={styles.steps}>
          <span className={styles.caption}>Samples used by each of {count(steps.length)} steps</span>
          <Sparkline values={steps.map(([, value]) => value)} width={260} height={48} />
        </div>
      )}
    </div>
  );
}

function Read({ name, value, help }: { name: string; value: number; help: string }) {
  const styles = useStyles2(getStyles);
  return (
    <tr>
      <th scope="row">{name}</th>
      <td className={styles.number}>{count(value)}</td>
      <td className={styles.caption}>{help}</td>
    </tr>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  summary: css({
    color: theme.colors.text.secondary,
    fontSize: theme.typography.bodySmall.fontSize,
    fontVariantNumeric: 'tabular-nums',
  }),
  slow: css({ color: theme.colors.warning.text }),
  fast: css({ color: theme.colors.text.primary }),
  link: css({
    background: 'none',
    border: 0,
    color: theme.colors.text.link,
    padding: theme.spacing(0, 1),
    '&:hover': { textDecoration: 'underline' },
  }),
  details: css({ display: 'flex', flexWrap: 'wrap', gap: theme.spacing(1, 4) }),
  table: css({
    th: { color: theme.colors.text.secondary, fontWeight: 400, paddingRight: 16, textAlign: 'left' },
  }),
  number: css({ fontVariantNumeric: 'tabular-nums', paddingRight: 12, textAlign: 'right' }),
  barCell: css({ width: 120 }),
  bar: css({ background: theme.colors.primary.main, height: 8, minWidth: 1 }),
  caption: css({ color: theme.colors.text.secondary, fontSize: theme.typography.bodySmall.fontSize }),
  steps: css({ display: 'flex', flexDirection: 'column' }),
});
