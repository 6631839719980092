import { css } from '@emotion/css';
import type { GrafanaTheme2, PanelProps } from '@grafana/data';
import { useStyles2 } from '@grafana/ui';
import { useMemo } from 'react';
import { NoData } from '../shared/NoData';
import { LogList } from './LogList';
import type { LabelAction } from './Row';
import { commonLabels, deduplicated, readLines, sorted, type Dedup, type LogLine } from './lines';

export interface LogsOptions {
  showTime: boolean;
  showLabels: boolean;
  showCommonLabels: boolean;
  wrapLogMessage: boolean;
  prettifyLogMessage: boolean;
  enableLogDetails: boolean;
  dedupStrategy: Dedup;
  sortOrder: 'Descending' | 'Ascending';
  /** Filters by a label; given where there is a query that can be changed. */
  onLabel?: LabelAction;
}

export const LOGS_OPTIONS: LogsOptions = {
  showTime: false,
  showLabels: false,
  showCommonLabels: false,
  wrapLogMessage: false,
  prettifyLogMessage: false,
  enableLogDetails: true,
  dedupStrategy: 'none',
  sortOrder: 'Descending',
};

export function LogsPanel({ data, options, timeZone, fieldConfig }: PanelProps<LogsOptions>) {
  const styles = useStyles2(getStyles);
  const lines = useMemo(() => arranged(readLines(data.series), options), [data.series, options]);
  const actions = useMemo(() => ({ onLabel: options.onLabel }), [options.onLabel]);
  if (!lines.length) return <NoData message={fieldConfig.defaults.noValue ?? 'No logs found'} />;
  const common = options.showCommonLabels ? Object.entries(commonLabels(lines)) : [];
  return (
    <div className={styles.panel}>
      {common.length > 0 && (
        <div className={styles.common}>{common.map(([name, value]) => `${name}=${value}`).join('  ')}</div>
      )}
      <LogList lines={lines} options={options} timeZone={timeZone} actions={actions} />
    </div>
  );
}

const arranged = (lines: LogLine[], { sortOrder, dedupStrategy }: LogsOptions): LogLine[] =>
  deduplicated(sorted(lines, sortOrder), dedupStrategy);

const getStyles = (theme: GrafanaTheme2) => ({
  panel: css({ display: 'flex', flexDirection: 'column', height: '100%' }),
  common: css({
    color: theme.colors.text.secondary,
    fontSize: theme.typography.bodySmall.fontSize,
    whiteSpace: 'pre-wrap',
  }),
});
