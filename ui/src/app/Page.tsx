import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { Alert, useStyles2 } from '@grafana/ui';
import { useEffect, type ReactNode } from 'react';

interface Props {
  title: string;
  /** Beside the title. */
  actions?: ReactNode;
  /** What could not be had, where something could not. */
  error?: Error | undefined;
  children?: ReactNode;
}

/** A page with a title. */
export function Page({ title, actions, error, children }: Props) {
  const styles = useStyles2(getStyles);
  useTitle(title);
  return (
    <div className={styles.page}>
      <header className={styles.header}>
        <h1 className={styles.title}>{title}</h1>
        <div className={styles.actions}>{actions}</div>
      </header>
      {error && (
        <Alert title="This could not be loaded" severity="error">
          {error.message}
        </Alert>
      )}
      {children}
    </div>
  );
}

/** Names the tab of the browser. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title === 'Bartizan' ? title : `${title} - Bartizan`;
  }, [title]);
}

const getStyles = (theme: GrafanaTheme2) => ({
  page: css({
    display: 'flex',
    flex: '1 1 auto',
    flexDirection: 'column',
    gap: theme.spacing(2),
    padding: theme.spacing(2, 3),
    // What is told of a failure takes the place it needs, not all there is.
    '& > [role="alert"], & > [role="status"]': { flexGrow: 0 },
  }),
  header: css({ alignItems: 'center', display: 'flex', flexWrap: 'wrap', gap: theme.spacing(2) }),
  title: css({ fontSize: theme.typography.h2.fontSize, margin: 0 }),
  actions: css({ display: 'flex', flex: '1 1 auto', gap: theme.spacing(1), justifyContent: 'flex-end' }),
});
