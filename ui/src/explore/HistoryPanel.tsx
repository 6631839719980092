import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { Checkbox, IconButton, Input, useStyles2 } from '@grafana/ui';
import { useState } from 'react';
import { ago } from '~/app/format';
import { catalog } from '~/datasources/catalog';
import { found, loadHistory, saveHistory, withStar, without, type Remembered } from './history';

/** Queries that were run before, to run again. */
export function HistoryPanel({
  onRun,
  onClose,
}: {
  onRun: (entry: Remembered) => void;
  onClose: () => void;
}) {
  const styles = useStyles2(getStyles);
  const [history, setHistory] = useState(loadHistory);
  const [text, setText] = useState('');
  const [onlyStarred, setOnlyStarred] = useState(false);
  const change = (changed: Remembered[]) => {
    saveHistory(changed);
    setHistory(changed);
  };
  const shown = found(history, text, onlyStarred);
  return (
    <section className={styles.panel} aria-label="Query history">
      <div className={styles.bar}>
        <Input
          aria-label="Find in history"
          placeholder="Find in history"
          value={text}
          width={40}
          onChange={(event) => setText(event.currentTarget.value)}
        />
        <Checkbox
          label="Starred"
          value={onlyStarred}
          onChange={(event) => setOnlyStarred(event.currentTarget.checked)}
        />
        <span className={styles.note}>Kept in this browser.</span>
        <IconButton name="times" aria-label="Close history" onClick={onClose} />
      </div>
      <ul className={styles.list} aria-label="Queries run before" tabIndex={0}>
        {shown.map((entry) => (
          <li key={`${entry.datasource} ${entry.queries.join('\n')}`} className={styles.entry}>
            <IconButton
              name={entry.starred ? 'favorite' : 'star'}
              iconType={entry.starred ? 'mono' : 'default'}
              aria-pressed={entry.starred}
              aria-label={entry.starred ? 'Take the star away' : 'Star this query'}
              onClick={() => change(withStar(history, entry, !entry.starred))}
            />
            <button type="button" className={styles.query} onClick={() => onRun(entry)}>
              {entry.queries.map((query, index) => (
                <code key={index} className={styles.code}>
                  {query}
                </code>
              ))}
            </button>
            <span className={styles.note}>
              {catalog.find(({ uid }) => uid === entry.datasource)?.name ?? entry.datasource},{' '}
              {ago(new Date(entry.atMs).toISOString())}
            </span>
            <IconButton
              name="trash-alt"
              aria-label="Forget this query"
              onClick={() => change(without(history, entry))}
            />
          </li>
        ))}
      </ul>
      {!shown.length && (
        <p className={styles.note}>{history.length ? 'Nothing found.' : 'Nothing was run yet.'}</p>
      )}
    </section>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  panel: css({
    background: theme.colors.background.primary,
    border: `1px solid ${theme.colors.border.weak}`,
    borderRadius: theme.shape.radius.default,
    padding: theme.spacing(1),
  }),
  bar: css({ alignItems: 'center', display: 'flex', flexWrap: 'wrap', gap: theme.spacing(2) }),
  list: css({
    listStyle: 'none',
    margin: theme.spacing(1, 0),
    maxHeight: 280,
    overflowY: 'auto',
    padding: 0,
  }),
  entry: css({
    alignItems: 'center',
    borderBottom: `1px solid ${theme.colors.border.weak}`,
    display: 'flex',
    gap: theme.spacing(1),
    padding: theme.spacing(0.5),
    '&:hover': { background: theme.colors.action.hover },
  }),
  query: css({
    background: 'none',
    border: 0,
    color: 'inherit',
    flex: '1 1 auto',
    minWidth: 0,
    padding: 0,
    textAlign: 'left',
  }),
  code: css({
    background: 'none',
    border: 0,
    display: 'block',
    margin: 0,
    overflowWrap: 'anywhere',
    padding: 0,
    whiteSpace: 'pre-wrap',
  }),
  note: css({ color: theme.colors.text.secondary, fontSize: theme.typography.bodySmall.fontSize, margin: 0 }),
});
