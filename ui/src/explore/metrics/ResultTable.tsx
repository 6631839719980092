import { css } from '@emotion/css';
import { FieldType, type DataFrame, type GrafanaTheme2 } from '@grafana/data';
import type { SceneQueryRunner } from '@grafana/scenes';
import { Button, useStyles2 } from '@grafana/ui';
import { useEffect, useMemo, useState } from 'react';
import { count } from '~/app/format';
import { besideHref } from '../jump';

interface Result {
  refId: string;
  labels: Record<string, string>;
  value: number | string | null;
}

/** More rows than these are shown only when they are asked for. */
const ROWS_AT_ONCE = 200;

export function readResults(frames: DataFrame[]): Result[] {
  return frames.flatMap(({ fields, refId = '' }) =>
    fields
      .filter(({ type }) => type !== FieldType.time)
      .map(({ labels = {}, values }) => ({
        refId,
        labels,
        value: (values.at(-1) as number | string | undefined) ?? null,
      })),
  );
}

/** What is cut off in its cell is told in full when it is pointed at. */
const isLong = (value = '') => value.length > 40;

const text = (value: Result['value']) => (value === null ? '' : String(value));

type Order = { column: string; isDescending: boolean };

function ordered(results: Result[], order: Order | undefined): Result[] {
  if (!order) return results;
  const { column, isDescending } = order;
  const direction = isDescending ? -1 : 1;
  const compare = (a: Result, b: Result) =>
    column === VALUE
      ? Number(a.value) - Number(b.value)
      : (a.labels[column] ?? '').localeCompare(b.labels[column] ?? '', undefined, { numeric: true });
  return [...results].sort((a, b) => direction * compare(a, b));
}

const VALUE = '';

/** The last value of each series: a row each, a column for each label. */
export function ResultTable({ runner }: { runner: SceneQueryRunner }) {
  const styles = useStyles2(getStyles);
  const { data } = runner.useState();
  // Nothing is asked for it while it is not shown.
  useEffect(() => runner.activate(), [runner]);
  const [order, setOrder] = useState<Order>();
  const [shown, setShown] = useState(ROWS_AT_ONCE);
  const results = useMemo(() => readResults(data?.series ?? []), [data?.series]);
  const sorted = useMemo(() => ordered(results, order), [results, order]);
  const names = useMemo(
    () => [...new Set(results.flatMap(({ labels }) => Object.keys(labels)))].sort(),
    [results],
  );
  const several = new Set(results.map(({ refId }) => refId)).size > 1;
  if (!data || (!results.length && data.state !== 'Done')) return null;
  if (!results.length) return <p className={styles.note}>No series has a value at the end of this time.</p>;
  const sort = (column: string) =>
    setOrder((current) =>
      current?.column === column
        ? { column, isDescending: !current.isDescending }
        : { column, isDescending: column === VALUE },
    );
  const header = (column: string, title: string) => (
    <th
      key={column}
      scope="col"
      aria-sort={order?.column === column ? (order.isDescending ? 'descending' : 'ascending') : 'none'}
      className={column === VALUE ? styles.number : undefined}
    >
      <button type="button" className={styles.sort} onClick={() => sort(column)}>
        {title}
        {order?.column === column ? (order.isDescending ? ' ↓' : ' ↑') : ''}
      </button>
    </th>
  );
  return (
    <div>
      <div className={styles.scroller} role="region" aria-label="Values" tabIndex={0}>
        <table className={styles.table} aria-label="Values at the end of the time">
          <thead>
            <tr>
              {several && <th scope="col">Query</th>}
              {names.map((name) => header(name, name === '__name__' ? 'metric' : name))}
              {header(VALUE, 'Value')}
              <th scope="col" aria-label="Actions" />
            </tr>
          </thead>
          <tbody>
            {sorted.slice(0, shown).map(({ refId, labels, value }, index) => (
              <tr key={index}>
                {several && <td>{refId}</td>}
                {names.map((name) => (
                  <td
                    key={name}
                    className={styles.label}
                    title={isLong(labels[name]) ? labels[name] : undefined}
                  >
                    {labels[name]}
                  </td>
                ))}
                <td className={styles.number}>{text(value)}</td>
                <td className={styles.actions}>
                  {Object.keys(labels).length > 0 && (
                    <a href={besideHref(labels)} className={styles.link}>
                      Logs
                    </a>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className={styles.note}>
        {count(results.length)} series
        {sorted.length > shown && (
          <Button size="sm" fill="text" onClick={() => setShown(shown + 5 * ROWS_AT_ONCE)}>
            Show more than {count(shown)}
          </Button>
        )}
      </p>
    </div>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  scroller: css({
    background: theme.colors.background.primary,
    border: `1px solid ${theme.colors.border.weak}`,
    borderRadius: theme.shape.radius.default,
    maxHeight: '60vh',
    overflow: 'auto',
  }),
  table: css({
    borderCollapse: 'collapse',
    fontSize: theme.typography.bodySmall.fontSize,
    width: '100%',
    'th, td': {
      borderBottom: `1px solid ${theme.colors.border.weak}`,
      padding: theme.spacing(0.5, 1.5),
      textAlign: 'left',
      whiteSpace: 'nowrap',
    },
    th: { background: theme.colors.background.secondary, padding: 0, position: 'sticky', top: 0 },
    'tbody tr:hover': { background: theme.colors.action.hover },
  }),
  sort: css({
    background: 'none',
    border: 0,
    color: theme.colors.text.secondary,
    padding: theme.spacing(0.5, 1.5),
    '&:hover': { color: theme.colors.text.primary },
  }),
  number: css({
    fontVariantNumeric: 'tabular-nums',
    textAlign: 'right !important' as 'right',
  }),
  label: css({ maxWidth: 340, overflow: 'hidden', textOverflow: 'ellipsis' }),
  actions: css({ width: 1 }),
  link: css({ color: theme.colors.text.link, '&:hover': { textDecoration: 'underline' } }),
  note: css({
    color: theme.colors.text.secondary,
    fontSize: theme.typography.bodySmall.fontSize,
    margin: '4px 0',
  }),
});
