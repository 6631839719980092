import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { useStyles2, useTheme2 } from '@grafana/ui';
import { useCallback, useMemo, useRef, useState } from 'react';
import { Row, rowStyles, type LineActions } from './Row';
import type { LogLine } from './lines';
import { useWindow } from './useWindow';

export interface ListOptions {
  showTime: boolean;
  showLabels: boolean;
  wrapLogMessage: boolean;
  prettifyLogMessage: boolean;
  enableLogDetails: boolean;
  /** Names of labels and fields that are shown before the line. */
  columns?: string[];
  /** Labels that all lines have need not be shown with each. */
  hiddenLabels?: Record<string, string>;
}

interface Props {
  lines: LogLine[];
  options: ListOptions;
  timeZone: string;
  actions?: LineActions | undefined;
  /** What is marked in lines. */
  searched?: RegExp | undefined;
  /** The line that stands out. */
  chosen?: string | undefined;
  label?: string;
}

const NO_ACTIONS: LineActions = {};

/** Log lines. Only those in sight are in the document, however many there are. */
export function LogList({
  lines,
  options,
  timeZone,
  actions = NO_ACTIONS,
  searched,
  chosen,
  label = 'Log lines',
}: Props) {
  const theme = useTheme2();
  const styles = useStyles2(getStyles);
  const ofRows = useMemo(() => rowStyles(theme), [theme]);
  const scroller = useRef<HTMLDivElement>(null);
  const drawn = useRef<HTMLDivElement>(null);
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const { first, last, before, after } = useWindow(scroller, drawn, lines);
  const toggle = useCallback((id: string) => {
    setOpen((current) => {
      const changed = new Set(current);
      if (!changed.delete(id)) changed.add(id);
      return changed;
    });
  }, []);
  return (
    <div ref={scroller} className={styles.scroller} role="region" aria-label={label} tabIndex={0}>
      <div style={{ height: before }} />
      <div ref={drawn} role="list" className={options.wrapLogMessage ? undefined : styles.wide}>
        {lines.slice(first, last).map((line, index) => (
          <Row
            key={line.id}
            line={line}
            place={first + index + 1}
            of={lines.length}
            options={options}
            timeZone={timeZone}
            isOpen={open.has(line.id)}
            isChosen={line.id === chosen}
            onToggle={toggle}
            actions={actions}
            searched={searched}
            styles={ofRows}
          />
        ))}
      </div>
      <div style={{ height: after }} />
    </div>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  scroller: css({
    flex: '1 1 auto',
    fontFamily: theme.typography.fontFamilyMonospace,
    fontSize: theme.typography.bodySmall.fontSize,
    minHeight: 0,
    overflow: 'auto',
  }),
  wide: css({ minWidth: '100%', width: 'max-content' }),
});
