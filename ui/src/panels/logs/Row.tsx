import { css, cx } from '@emotion/css';
import { dateTimeFormat, type GrafanaTheme2 } from '@grafana/data';
import { ClipboardButton, IconButton, useStyles2, useTheme2 } from '@grafana/ui';
import { useLayoutEffect, useRef } from 'react';
import { spans } from './ansi';
import type { Level, LogLine } from './lines';
import type { LogsOptions } from './LogsPanel';

/** What a click on a label does to the query. */
export type LabelAction = (name: string, value: string, operator: '=' | '!=') => void;

interface Props {
  line: LogLine;
  options: LogsOptions;
  timeZone: string;
  isOpen: boolean;
  onToggle: () => void;
  measure: (height: number) => void;
}

const COLORS: Record<Level, string> = {
  critical: 'purple',
  error: 'red',
  warning: 'orange',
  info: 'green',
  debug: 'blue',
  trace: 'light-blue',
  unknown: 'gray',
};

export function Row({ line, options, timeZone, isOpen, onToggle, measure }: Props) {
  const styles = useStyles2(getStyles);
  const theme = useTheme2();
  const element = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (element.current) measure(element.current.getBoundingClientRect().height);
  });
  const color =
    line.level === 'unknown'
      ? theme.colors.border.strong
      : theme.visualization.getColorByName(COLORS[line.level]);
  const wrap = options.wrapLogMessage || isOpen;
  return (
    <div ref={element} className={styles.row}>
      <button
        type="button"
        className={cx(styles.line, wrap ? styles.wrapped : styles.cut)}
        style={{ borderLeftColor: color }}
        aria-expanded={isOpen}
        disabled={!options.enableLogDetails}
        onClick={onToggle}
      >
        {options.showTime && (
          <span className={styles.time}>
            {dateTimeFormat(line.timeMs, { timeZone, format: 'YYYY-MM-DD HH:mm:ss.SSS' })}
          </span>
        )}
        {line.repeated > 0 && <span className={styles.time}>{line.repeated + 1}x</span>}
        {options.showLabels && <span className={styles.labels}>{writeLabels(line.labels)}</span>}
        <Text line={line.line} pretty={options.prettifyLogMessage} />
      </button>
      {isOpen && <Details line={line} onLabel={options.onLabel} />}
    </div>
  );
}

const writeLabels = (labels: Record<string, string>) =>
  Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');

function Text({ line, pretty }: { line: string; pretty: boolean }) {
  const shown = pretty ? prettified(line) : line;
  return (
    <span>
      {spans(shown).map(({ text, style }, index) => (
        <span key={index} style={style}>
          {text}
        </span>
      ))}
    </span>
  );
}

function prettified(line: string): string {
  if (!/^\s*[{[]/.test(line)) return line;
  try {
    return JSON.stringify(JSON.parse(line), undefined, 2);
  } catch {
    return line;
  }
}

function Details({ line, onLabel }: { line: LogLine; onLabel?: LabelAction | undefined }) {
  const styles = useStyles2(getStyles);
  return (
    <div className={styles.details}>
      <ClipboardButton size="sm" variant="secondary" icon="copy" getText={() => line.line}>
        Copy line
      </ClipboardButton>
      <table>
        <tbody>
          {Object.entries(line.labels).map(([name, value]) => (
            <tr key={name}>
              <td className={styles.actions}>
                {onLabel && (
                  <>
                    <IconButton
                      name="search-plus"
                      size="sm"
                      aria-label={`Only lines with ${name}=${value}`}
                      onClick={() => onLabel(name, value, '=')}
                    />
                    <IconButton
                      name="search-minus"
                      size="sm"
                      aria-label={`Only lines without ${name}=${value}`}
                      onClick={() => onLabel(name, value, '!=')}
                    />
                  </>
                )}
              </td>
              <th scope="row" className={styles.name}>
                {name}
              </th>
              <td className={styles.value}>{value}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  row: css({ '&:hover': { background: theme.colors.action.hover } }),
  line: css({
    background: 'none',
    border: 0,
    borderLeft: '3px solid',
    color: 'inherit',
    display: 'block',
    font: 'inherit',
    lineHeight: '18px',
    padding: '1px 8px',
    textAlign: 'left',
    width: '100%',
  }),
  cut: css({ whiteSpace: 'pre', width: 'max-content', minWidth: '100%' }),
  wrapped: css({ overflowWrap: 'anywhere', whiteSpace: 'pre-wrap' }),
  time: css({ color: theme.colors.text.secondary, paddingRight: 8 }),
  labels: css({ color: theme.colors.info.text, paddingRight: 8 }),
  details: css({ background: theme.colors.background.secondary, padding: theme.spacing(1, 2) }),
  actions: css({ whiteSpace: 'nowrap', width: 50 }),
  name: css({
    color: theme.colors.text.secondary,
    fontWeight: 400,
    padding: '2px 12px',
    textAlign: 'left',
    verticalAlign: 'top',
  }),
  value: css({ overflowWrap: 'anywhere' }),
});
