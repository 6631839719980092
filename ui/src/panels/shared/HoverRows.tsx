import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { SortOrder, TooltipDisplayMode, type VizTooltipOptions } from '@grafana/schema';
import { useStyles2 } from '@grafana/ui';

export interface HoverRow {
  name: string;
  color: string;
  /** As it is written, and what it is sorted by. */
  text: string;
  value: number;
  /** Whether it is what is pointed at. */
  isMeant: boolean;
}

/** What a tooltip tells: only what is pointed at, or all there is, in the order that is asked for. */
export function toldRows(
  rows: HoverRow[],
  { mode, sort, hideZeros }: Partial<VizTooltipOptions>,
): HoverRow[] {
  if (mode === TooltipDisplayMode.None) return [];
  if (mode !== TooltipDisplayMode.Multi) return rows.filter(({ isMeant }) => isMeant);
  const told = hideZeros ? rows.filter(({ value }) => value !== 0) : [...rows];
  if (sort === SortOrder.Ascending) told.sort((a, b) => a.value - b.value);
  if (sort === SortOrder.Descending) told.sort((a, b) => b.value - a.value);
  return told;
}

/** Values under the pointer with their colours. */
export function HoverRows({ title, rows }: { title: string; rows: HoverRow[] }) {
  const styles = useStyles2(getStyles);
  return (
    <>
      {title && <div className={styles.title}>{title}</div>}
      {rows.map(({ name, color, text, isMeant }, index) => (
        <div key={index} className={styles.row} style={{ fontWeight: isMeant ? 500 : 400 }}>
          <span className={styles.mark} style={{ background: color }} />
          <span className={styles.name}>{name}</span>
          <span>{text}</span>
        </div>
      ))}
    </>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  title: css({ borderBottom: `1px solid ${theme.colors.border.weak}`, marginBottom: 4, paddingBottom: 4 }),
  row: css({ alignItems: 'baseline', display: 'flex', gap: theme.spacing(1) }),
  mark: css({ borderRadius: 2, flex: '0 0 14px', height: 4, position: 'relative', top: -3 }),
  name: css({ color: theme.colors.text.secondary, flex: '1 1 auto', overflowWrap: 'anywhere' }),
});
