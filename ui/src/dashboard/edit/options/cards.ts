import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';

/** How a rule of a list is set off: a card with a header, whose name takes the room there is. */
export const cards = (theme: GrafanaTheme2) => ({
  rule: css({
    background: theme.colors.background.secondary,
    borderRadius: theme.shape.radius.default,
    display: 'flex',
    flexDirection: 'column',
    gap: theme.spacing(1.5),
    padding: theme.spacing(1.5),
  }),
  header: css({
    alignItems: 'center',
    display: 'flex',
    gap: theme.spacing(1),
    '& strong': { flex: '1 1 auto', fontWeight: 500 },
  }),
});
