import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { useStyles2 } from '@grafana/ui';

interface Props {
  labels: Record<string, string>;
  /** Names that are shown elsewhere. */
  without?: string[];
}

/** Labels, each in a frame of its own. */
export function LabelList({ labels, without = [] }: Props) {
  const styles = useStyles2(getStyles);
  const shown = Object.entries(labels).filter(([name]) => !without.includes(name));
  return (
    <span className={styles.list}>
      {shown.map(([name, value]) => (
        <span key={name} className={styles.label}>
          {name}=&quot;{value}&quot;
        </span>
      ))}
    </span>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  list: css({ display: 'inline-flex', flexWrap: 'wrap', gap: 4, minWidth: 180 }),
  label: css({
    background: theme.colors.background.secondary,
    border: `1px solid ${theme.colors.border.weak}`,
    borderRadius: theme.shape.radius.default,
    fontFamily: theme.typography.fontFamilyMonospace,
    fontSize: theme.typography.bodySmall.fontSize,
    overflowWrap: 'anywhere',
    padding: '0 6px',
  }),
});
