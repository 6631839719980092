import { css, keyframes } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { useStyles2 } from '@grafana/ui';

/** Shown while a page is being loaded; appears late, as most pages are there at once. */
export function Loading() {
  const style = useStyles2(getStyle);
  return <div className={style} role="status" aria-label="Loading" />;
}

const turn = keyframes({ to: { transform: 'rotate(1turn)' } });
const appear = keyframes({ '0%, 99%': { visibility: 'hidden' }, '100%': { visibility: 'visible' } });

const getStyle = (theme: GrafanaTheme2) =>
  css({
    animation: `${turn} 1s linear infinite, ${appear} 0.3s`,
    border: `3px solid ${theme.colors.border.medium}`,
    borderRadius: '50%',
    borderTopColor: theme.colors.primary.main,
    height: 36,
    margin: '20vh auto',
    width: 36,
  });
