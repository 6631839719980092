import { css, cx } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { Badge, RadioButtonGroup, useStyles2 } from '@grafana/ui';
import { useMemo, useState } from 'react';
import type { DashboardJson } from '../../model';
import { differences, type Change, type ChangedThing } from './diff';
import { compareLines } from './lines';

interface Props {
  before: DashboardJson;
  after: DashboardJson;
}

const VIEWS = [
  { label: 'Summary', value: 'summary' as const },
  { label: 'JSON', value: 'json' as const },
];

/** What is different between two states of a dashboard: in words, or line by line. */
export function Changes({ before, after }: Props) {
  const styles = useStyles2(getStyles);
  const [view, setView] = useState<'summary' | 'json'>('summary');
  const changed = useMemo(() => differences(before, after), [before, after]);
  if (!changed.length) return <p>Nothing is different.</p>;
  return (
    <div className={styles.stack}>
      <div>
        <RadioButtonGroup
          aria-label="Show changes as"
          options={VIEWS}
          value={view}
          onChange={setView}
          size="sm"
        />
      </div>
      {view === 'json' ? (
        <Lines before={before} after={after} />
      ) : (
        changed.map((thing) => <Thing key={`${thing.title} ${thing.kind}`} thing={thing} />)
      )}
    </div>
  );
}

const COLORS = { added: 'green', removed: 'red', changed: 'blue' } as const;

function Thing({ thing: { title, kind, changes } }: { thing: ChangedThing }) {
  const styles = useStyles2(getStyles);
  return (
    <section className={styles.thing}>
      <h3 className={styles.title}>
        {title} <Badge text={kind} color={COLORS[kind]} />
      </h3>
      {changes.length > 0 && (
        <dl className={styles.list}>
          {changes.map((change, index) => (
            <Entry key={index} change={change} />
          ))}
        </dl>
      )}
    </section>
  );
}

function Entry({ change: { what, kind, before, after } }: { change: Change }) {
  const styles = useStyles2(getStyles);
  return (
    <>
      <dt>{what}</dt>
      <dd>
        {kind !== 'added' && <del className={styles.removed}>{shown(before)}</del>}
        {kind !== 'removed' && <ins className={styles.added}>{shown(after)}</ins>}
      </dd>
    </>
  );
}

const LENGTH_MAX = 400;

function shown(value: unknown): string {
  const text = typeof value === 'string' ? value || '(empty)' : (JSON.stringify(value) ?? '(nothing)');
  return text.length > LENGTH_MAX ? `${text.slice(0, LENGTH_MAX)}…` : text;
}

const SIGNS = { same: ' ', added: '+', removed: '-', skipped: '…' };

function Lines({ before, after }: Props) {
  const styles = useStyles2(getStyles);
  const lines = useMemo(
    () => compareLines(JSON.stringify(before, undefined, 2), JSON.stringify(after, undefined, 2)),
    [before, after],
  );
  return (
    <pre className={styles.lines}>
      {lines.map(({ kind, text }, index) => (
        <div
          key={index}
          className={cx(
            kind === 'added' && styles.added,
            kind === 'removed' && styles.removed,
            kind === 'skipped' && styles.skipped,
          )}
        >
          {SIGNS[kind]} {text}
        </div>
      ))}
    </pre>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  stack: css({ display: 'flex', flexDirection: 'column', gap: theme.spacing(2) }),
  thing: css({
    background: theme.colors.background.secondary,
    borderRadius: theme.shape.radius.default,
    padding: theme.spacing(1.5),
  }),
  title: css({ fontSize: theme.typography.h6.fontSize, margin: 0 }),
  list: css({
    display: 'grid',
    gap: theme.spacing(0.5, 2),
    gridTemplateColumns: 'minmax(120px, max-content) 1fr',
    margin: theme.spacing(1, 0, 0),
    '& dt': { color: theme.colors.text.secondary, fontWeight: 400 },
    '& dd': { display: 'flex', flexWrap: 'wrap', gap: theme.spacing(1), margin: 0, minWidth: 0 },
    '& del, & ins': {
      borderRadius: theme.shape.radius.default,
      fontFamily: theme.typography.fontFamilyMonospace,
      fontSize: theme.typography.bodySmall.fontSize,
      overflowWrap: 'anywhere',
      padding: theme.spacing(0.25, 0.75),
      textDecoration: 'none',
    },
  }),
  added: css({ background: theme.colors.success.transparent, color: theme.colors.success.text }),
  removed: css({ background: theme.colors.error.transparent, color: theme.colors.error.text }),
  skipped: css({ color: theme.colors.text.secondary, fontStyle: 'italic' }),
  lines: css({ fontSize: theme.typography.bodySmall.fontSize, margin: 0, overflow: 'auto' }),
});
