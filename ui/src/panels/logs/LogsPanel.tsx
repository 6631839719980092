import { css } from '@emotion/css';
import type { GrafanaTheme2, PanelProps } from '@grafana/data';
import { useStyles2 } from '@grafana/ui';
import { useMemo, useRef, useState } from 'react';
import { NoData } from '../shared/NoData';
import { Row, type LabelAction } from './Row';
import { commonLabels, deduplicated, readLines, type Dedup, type LogLine } from './lines';
import { useWindow } from './useWindow';

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
  const lines = useMemo(() => arranged(readLines(data.series), options), [data.series, options]);
  if (!lines.length) return <NoData message={fieldConfig.defaults.noValue ?? 'No logs found'} />;
  return <Lines lines={lines} options={options} timeZone={timeZone} />;
}

function arranged(lines: LogLine[], { sortOrder, dedupStrategy }: LogsOptions): LogLine[] {
  const direction = sortOrder === 'Ascending' ? 1 : -1;
  const sorted = [...lines].sort(
    (a, b) => direction * (a.timeMs - b.timeMs || (a.timeNs < b.timeNs ? -1 : a.timeNs > b.timeNs ? 1 : 0)),
  );
  return deduplicated(sorted, dedupStrategy);
}

interface LinesProps {
  lines: LogLine[];
  options: LogsOptions;
  timeZone: string;
}

/** Only the lines in sight are in the document, however many there are. */
function Lines({ lines, options, timeZone }: LinesProps) {
  const styles = useStyles2(getStyles);
  const scroller = useRef<HTMLDivElement>(null);
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const { first, last, before, after, measure } = useWindow(scroller, lines);
  const toggle = (id: string) => {
    const changed = new Set(open);
    if (!changed.delete(id)) changed.add(id);
    setOpen(changed);
  };
  const common = options.showCommonLabels ? Object.entries(commonLabels(lines)) : [];
  return (
    <div className={styles.panel}>
      {common.length > 0 && (
        <div className={styles.common}>{common.map(([name, value]) => `${name}=${value}`).join('  ')}</div>
      )}
      <div
        ref={scroller}
        className={styles.scroller}
        role="table"
        aria-rowcount={lines.length}
        aria-label="Log lines"
        tabIndex={0}
      >
        <div style={{ height: before }} />
        {lines.slice(first, last).map((line) => (
          <Row
            key={line.id}
            line={line}
            options={options}
            timeZone={timeZone}
            isOpen={open.has(line.id)}
            onToggle={() => toggle(line.id)}
            measure={(height) => measure(line.id, height)}
          />
        ))}
        <div style={{ height: after }} />
      </div>
    </div>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  panel: css({ display: 'flex', flexDirection: 'column', height: '100%' }),
  common: css({
    color: theme.colors.text.secondary,
    fontSize: theme.typography.bodySmall.fontSize,
    whiteSpace: 'pre-wrap',
  }),
  scroller: css({
    flex: '1 1 auto',
    fontFamily: theme.typography.fontFamilyMonospace,
    fontSize: theme.typography.bodySmall.fontSize,
    minHeight: 0,
    overflow: 'auto',
  }),
});
