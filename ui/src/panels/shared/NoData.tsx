import { css } from '@emotion/css';
import { useStyles2 } from '@grafana/ui';
import type { GrafanaTheme2 } from '@grafana/data';

/** What a panel shows when its queries found nothing. */
export function NoData({ message = 'No data' }: { message?: string | undefined }) {
  const style = useStyles2(getStyle);
  return <div className={style}>{message}</div>;
}

const getStyle = (theme: GrafanaTheme2) =>
  css({
    alignItems: 'center',
    color: theme.colors.text.secondary,
    display: 'flex',
    height: '100%',
    justifyContent: 'center',
    width: '100%',
  });
