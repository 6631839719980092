import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { useStyles2 } from '@grafana/ui';

export interface Tile {
  label: string;
  value: string;
  /** What the value is to be seen against. */
  note?: string;
}

/** A few numbers in large. */
export function Tiles({ label, tiles }: { label: string; tiles: Tile[] }) {
  const styles = useStyles2(getStyles);
  return (
    <dl className={styles.tiles} aria-label={label}>
      {tiles.map(({ label: name, value, note }) => (
        <div key={name} className={styles.tile}>
          <dt className={styles.label}>{name}</dt>
          <dd className={styles.value}>{value}</dd>
          {note && <dd className={styles.label}>{note}</dd>}
        </div>
      ))}
    </dl>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  tiles: css({
    display: 'grid',
    gap: theme.spacing(1),
    gridTemplateColumns: 'repeat(auto-fit, minmax(160px, 1fr))',
    margin: 0,
  }),
  tile: css({
    background: theme.colors.background.primary,
    border: `1px solid ${theme.colors.border.weak}`,
    borderRadius: theme.shape.radius.default,
    padding: theme.spacing(1, 1.5),
    dd: { margin: 0 },
  }),
  label: css({
    color: theme.colors.text.secondary,
    fontSize: theme.typography.bodySmall.fontSize,
    fontWeight: 400,
  }),
  value: css({ fontSize: 22, fontVariantNumeric: 'tabular-nums', fontWeight: 500 }),
});
