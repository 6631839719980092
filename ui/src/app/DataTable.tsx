import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { useStyles2 } from '@grafana/ui';
import type { ReactNode } from 'react';

export interface Column<Row> {
  header: string;
  cell: (row: Row) => ReactNode;
  /** Numbers stand at the right. */
  numeric?: boolean;
  /** Times are not broken. */
  nowrap?: boolean;
}

interface Props<Row> {
  label: string;
  rows: Row[];
  columns: Column<Row>[];
  rowKey: (row: Row) => string;
  empty?: string;
}

/** A plain table of what there is. */
export function DataTable<Row>({ label, rows, columns, rowKey, empty = 'Nothing here.' }: Props<Row>) {
  const styles = useStyles2(getStyles);
  if (!rows.length) return <p className={styles.empty}>{empty}</p>;
  return (
    // What is wider than the page is scrolled with the keyboard, too.
    <div className={styles.scroller} role="region" aria-label={label} tabIndex={0}>
      <table className={styles.table} aria-label={label}>
        <thead>
          <tr>
            {columns.map(({ header, numeric }) => (
              <th key={header} scope="col" className={numeric ? styles.numeric : undefined}>
                {header}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={rowKey(row)}>
              {columns.map(({ header, cell, numeric, nowrap }) => (
                <td key={header} className={numeric ? styles.numeric : nowrap ? styles.nowrap : undefined}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  empty: css({ color: theme.colors.text.secondary }),
  scroller: css({ overflowX: 'auto' }),
  table: css({
    borderCollapse: 'collapse',
    width: '100%',
    'th, td': {
      borderBottom: `1px solid ${theme.colors.border.weak}`,
      padding: theme.spacing(0.75, 1),
      textAlign: 'left',
      verticalAlign: 'top',
    },
    th: { color: theme.colors.text.secondary, fontWeight: theme.typography.fontWeightMedium },
    td: { overflowWrap: 'break-word' },
    // Where there is little room a table is moved sideways rather than read letter by letter.
    'td:has(code)': { minWidth: 180 },
    'tbody tr:hover': { background: theme.colors.action.hover },
  }),
  nowrap: css({ whiteSpace: 'nowrap' }),
  numeric: css({
    fontVariantNumeric: 'tabular-nums',
    textAlign: 'right !important' as 'right',
    whiteSpace: 'nowrap',
  }),
});
