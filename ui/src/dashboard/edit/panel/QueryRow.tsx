import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { Icon, IconButton, Input, Stack, useStyles2 } from '@grafana/ui';
import { useEffect, useMemo, useRef, useState } from 'react';
import { LokiClient } from '~/api/loki';
import { PrometheusClient } from '~/api/prometheus';
import { catalog } from '~/datasources/catalog';
import { Editor } from '~/explore/editor/Editor';
import { logql } from '~/explore/editor/logql';
import { promql } from '~/explore/editor/promql';
import type { DashboardScene } from '../../DashboardScene';
import type { Target } from '../../model';
import { DataSourceSelect } from '../DataSourceSelect';
import { LokiFields, PromFields } from './QueryFields';

interface Props {
  scene: DashboardScene;
  target: Target;
  /** The kind of data source that it goes to. */
  type: string;
  isMixed: boolean;
  /** The letters of all queries. */
  taken: string[];
  error: string | undefined;
  range: () => { startMs: number; endMs: number };
  isFirst: boolean;
  isLast: boolean;
  onChange: (target: Target) => void;
  onMove: (by: number) => void;
  onDuplicate: () => void;
  onRemove: () => void;
}

/** One query of a panel. What is typed is asked when the editor is left, or with Shift and Enter. */
export function QueryRow(props: Props) {
  const {
    scene,
    target,
    type,
    isMixed,
    taken,
    error,
    isFirst,
    isLast,
    onChange,
    onMove,
    onDuplicate,
    onRemove,
  } = props;
  const styles = useStyles2(getStyles);
  const [isOpen, setOpen] = useState(true);
  const { refId = 'A', hide = false } = target;
  const stored = String(target.expr ?? '');
  const [expr, setExpr] = useState(stored);
  useEffect(() => setExpr(stored), [stored]);
  const run = () => {
    if (expr !== stored) onChange({ ...target, expr });
  };
  const set = (change: Partial<Target>) => onChange({ ...target, expr, ...change });
  const language = useLanguage(type, target, props.range);
  return (
    <section className={styles.row} aria-label={`Query ${refId}`}>
      <header className={styles.header}>
        <IconButton
          name={isOpen ? 'angle-down' : 'angle-right'}
          aria-label={`${isOpen ? 'Close' : 'Open'} query ${refId}`}
          onClick={() => setOpen(!isOpen)}
        />
        <RefId refId={refId} taken={taken} onChange={(next) => set({ refId: next })} />
        {isMixed && (
          <DataSourceSelect
            scene={scene}
            width={28}
            value={target.datasource}
            onChange={(datasource) => set({ datasource })}
          />
        )}
        <span className={styles.summary}>{!isOpen && expr}</span>
        {hide && <span className={styles.off}>hidden</span>}
        <IconButton
          name="arrow-up"
          aria-label={`Move query ${refId} up`}
          disabled={isFirst}
          onClick={() => onMove(-1)}
        />
        <IconButton
          name="arrow-down"
          aria-label={`Move query ${refId} down`}
          disabled={isLast}
          onClick={() => onMove(1)}
        />
        <IconButton name="copy" aria-label={`Duplicate query ${refId}`} onClick={onDuplicate} />
        <IconButton
          name={hide ? 'eye-slash' : 'eye'}
          aria-label={`${hide ? 'Show' : 'Hide'} query ${refId}`}
          onClick={() => set({ hide: hide ? undefined : true } as never)}
        />
        <IconButton name="trash-alt" aria-label={`Remove query ${refId}`} onClick={onRemove} />
      </header>
      {isOpen && (
        <div className={styles.body}>
          <div onBlur={run}>
            <Editor
              value={expr}
              onChange={setExpr}
              onRun={run}
              language={language}
              label={`Query ${refId} text`}
              placeholder={
                type === 'loki'
                  ? 'LogQL, such as {service_name="api"} |= "error"'
                  : 'PromQL, such as rate(http_requests_total[5m])'
              }
            />
          </div>
          {error && (
            <p className={styles.error} role="alert">
              <Icon name="exclamation-triangle" /> {error}
            </p>
          )}
          {type === 'loki' ? (
            <LokiFields target={target} set={set} />
          ) : (
            <PromFields target={target} set={set} />
          )}
        </div>
      )}
    </section>
  );
}

function useLanguage(type: string, { datasource }: Target, range: Props['range']) {
  const uid = typeof datasource === 'string' ? datasource : datasource?.uid;
  const source = catalog.find((each) => each.uid === uid) ?? catalog.find((each) => each.type === type);
  const url = source?.url ?? '';
  const asked = useRef(range);
  asked.current = range;
  return useMemo(
    () =>
      type === 'loki' ? logql(new LokiClient(url), () => asked.current()) : promql(new PrometheusClient(url)),
    [type, url],
  );
}

function RefId({
  refId,
  taken,
  onChange,
}: {
  refId: string;
  taken: string[];
  onChange: (refId: string) => void;
}) {
  const styles = useStyles2(getStyles);
  const [text, setText] = useState<string>();
  if (text === undefined) {
    return (
      <button
        type="button"
        className={styles.refId}
        aria-label={`Rename query ${refId}`}
        onClick={() => setText(refId)}
      >
        {refId}
      </button>
    );
  }
  const isTaken = text !== refId && taken.includes(text);
  const done = () => {
    if (text.trim() && !isTaken && text !== refId) onChange(text.trim());
    setText(undefined);
  };
  return (
    <Stack>
      <Input
        autoFocus
        width={16}
        aria-label="Name of the query"
        invalid={isTaken}
        value={text}
        onChange={({ currentTarget }) => setText(currentTarget.value)}
        onBlur={done}
        onKeyDown={({ key }) => key === 'Enter' && done()}
      />
    </Stack>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  row: css({ background: theme.colors.background.secondary, borderRadius: theme.shape.radius.default }),
  header: css({
    alignItems: 'center',
    display: 'flex',
    gap: theme.spacing(1),
    padding: theme.spacing(0.75, 1),
  }),
  refId: css({
    background: 'none',
    border: 0,
    color: theme.colors.text.link,
    fontFamily: theme.typography.fontFamilyMonospace,
    fontWeight: 500,
    padding: theme.spacing(0, 0.5),
  }),
  summary: css({
    color: theme.colors.text.secondary,
    flex: '1 1 auto',
    fontFamily: theme.typography.fontFamilyMonospace,
    fontSize: theme.typography.bodySmall.fontSize,
    minWidth: 0,
    overflow: 'hidden',
    textOverflow: 'ellipsis',
    whiteSpace: 'nowrap',
  }),
  off: css({ color: theme.colors.text.secondary, fontStyle: 'italic' }),
  body: css({
    display: 'flex',
    flexDirection: 'column',
    gap: theme.spacing(1),
    padding: theme.spacing(0, 1, 1, 1),
  }),
  error: css({ color: theme.colors.error.text, margin: 0 }),
});
