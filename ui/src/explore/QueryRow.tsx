import { css, cx } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { IconButton, useStyles2 } from '@grafana/ui';
import { useMemo, useRef } from 'react';
import { LokiClient, type LogRange } from '~/api/loki';
import type { PrometheusClient } from '~/api/prometheus';
import { Editor } from './editor/Editor';
import { logql } from './editor/logql';
import { promql } from './editor/promql';
import type { ExploreQuery } from './url';

interface Props {
  query: ExploreQuery;
  isLogs: boolean;
  client: LokiClient | PrometheusClient;
  range: () => LogRange;
  onChange: (expr: string) => void;
  onRun: () => void;
  onHide: () => void;
  onRemove: (() => void) | undefined;
}

/** One query, as it is written. */
export function QueryRow({ query, isLogs, client, range, onChange, onRun, onHide, onRemove }: Props) {
  const styles = useStyles2(getStyles);
  const latest = useRef(range);
  latest.current = range;
  const language = useMemo(
    () => (client instanceof LokiClient ? logql(client, () => latest.current()) : promql(client)),
    [client],
  );
  return (
    <div className={cx(styles.query, query.hide && styles.hidden)}>
      <span className={styles.refId}>{query.refId}</span>
      <Editor
        value={query.expr}
        onChange={onChange}
        onRun={onRun}
        language={language}
        label={`Query ${query.refId}`}
        placeholder={
          isLogs
            ? 'LogQL, such as {service_name="api"} |= "error"'
            : 'PromQL, such as rate(http_requests_total[5m])'
        }
      />
      <IconButton
        name={query.hide ? 'eye-slash' : 'eye'}
        aria-label={query.hide ? `Ask query ${query.refId} again` : `Leave query ${query.refId} out`}
        aria-pressed={query.hide ?? false}
        onClick={onHide}
      />
      {onRemove && (
        <IconButton name="trash-alt" aria-label={`Remove query ${query.refId}`} onClick={onRemove} />
      )}
    </div>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  query: css({ alignItems: 'center', display: 'flex', gap: theme.spacing(1) }),
  hidden: css({ opacity: 0.55 }),
  refId: css({ color: theme.colors.primary.text, fontFamily: theme.typography.fontFamilyMonospace }),
});
