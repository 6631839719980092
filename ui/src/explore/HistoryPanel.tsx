import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { Checkbox, IconButton, Input, useStyles2 } from '@grafana/ui';
import { useCallback, useState } from 'react';
import { ago } from '~/app/format';
import { useLoad } from '~/app/useLoad';
import { catalog } from '~/datasources/catalog';
import { changeRun, forgetRun, isShared, listRuns, type Remembered } from './history';

/** Queries that were run before, to run again. */
export function HistoryPanel({
  onRun,
  onClose,
}: {
  onRun: (entry: Remembered) => void;
  onClose: () => void;
}) {
  const styles = useStyles2(getStyles);
  const [text, setText] = useState('');
  const [onlyStarred, setOnlyStarred] = useState(false);
  const [failure, setFailure] = useState<Error>();
  const load = useCallback(() => listRuns(text, onlyStarred), [text, onlyStarred]);
  const { value: shown = [], error, loading, reload } = useLoad(load);
  const attempt = async (action: Promise<void>) => {
    try {
      await action;
      setFailure(undefined);
    } catch (reason) {
      setFailure(reason as Error);
    }
    reload();
  };
  const problem = failure ?? error;
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
        <span className={styles.note}>{isShared() ? 'Kept for you.' : 'Kept in this browser.'}</span>
        <IconButton name="times" aria-label="Close history" onClick={onClose} />
      </div>
      {problem && <p role="alert">{problem.message}</p>}
      <ul className={styles.list} aria-label="Queries run before" tabIndex={0}>
        {shown.map((entry) => (
          <li key={`${entry.datasource} ${entry.queries.join('\n')}`} className={styles.entry}>
            <IconButton
              name={entry.starred ? 'favorite' : 'star'}
              iconType={entry.starred ? 'mono' : 'default'}
              aria-pressed={entry.starred}
              aria-label={entry.starred ? 'Take the star away' : 'Star this query'}
              onClick={() => void attempt(changeRun(entry, { starred: !entry.starred }))}
            />
            <button type="button" className={styles.query} onClick={() => onRun(entry)}>
              {entry.queries.map((query, index) => (
                <code key={index} className={styles.code}>
                  {query}
                </code>
              ))}
            </button>
            <Comment entry={entry} onChange={(comment) => void attempt(changeRun(entry, { comment }))} />
            <span className={styles.note}>
              {catalog.find(({ uid }) => uid === entry.datasource)?.name ?? entry.datasource},{' '}
              {ago(new Date(entry.atMs).toISOString())}
            </span>
            <IconButton
              name="trash-alt"
              aria-label="Forget this query"
              onClick={() => void attempt(forgetRun(entry))}
            />
          </li>
        ))}
      </ul>
      {!shown.length && <p className={styles.note}>{emptyNote(loading, text !== '' || onlyStarred)}</p>}
    </section>
  );
}

/** What its user says about a run. */
function Comment({ entry, onChange }: { entry: Remembered; onChange: (comment: string) => void }) {
  const { comment = '' } = entry;
  const keep = (typed: string) => {
    if (typed !== comment) onChange(typed);
  };
  return (
    <Input
      aria-label="Comment on this query"
      placeholder="Comment"
      // Anew when it changes elsewhere.
      key={comment}
      defaultValue={comment}
      width={24}
      onBlur={({ currentTarget }) => keep(currentTarget.value.trim())}
      onKeyDown={({ key, currentTarget }) => {
        if (key === 'Enter') keep(currentTarget.value.trim());
      }}
    />
  );
}

function emptyNote(isLoading: boolean, isNarrowed: boolean): string {
  if (isLoading) return 'Loading.';
  return isNarrowed ? 'Nothing found.' : 'Nothing was run yet.';
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
