import { css, cx } from '@emotion/css';
import { dateTimeFormat, type GrafanaTheme2 } from '@grafana/data';
import { memo } from 'react';
import { Details } from './Details';
import type { Level, LogLine } from './lines';
import type { ListOptions } from './LogList';
import { marked } from './marks';

/** What a click on a label does to the query. */
export type LabelAction = (name: string, value: string, operator: '=' | '!=') => void;

/** What can be done with a line, where it can. */
export interface LineActions {
  onLabel?: LabelAction | undefined;
  /** Shows a field before each line, or no longer. */
  onColumn?: ((name: string) => void) | undefined;
  /** Shows what was logged around it. */
  onContext?: ((line: LogLine) => void) | undefined;
}

interface Props {
  line: LogLine;
  /** Counted from 1. */
  place: number;
  of: number;
  options: ListOptions;
  timeZone: string;
  isOpen: boolean;
  isChosen: boolean;
  onToggle: (id: string) => void;
  actions: LineActions;
  searched: RegExp | undefined;
  styles: RowStyles;
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

/** Drawn anew only when something of it changes: many of them pass by while a list is scrolled. */
export const Row = memo(function Row(props: Props) {
  const { line, place, of, options, timeZone, isOpen, isChosen, onToggle, actions, searched, styles } = props;
  const wrap = options.wrapLogMessage || isOpen;
  const time = dateTimeFormat(line.timeMs, { timeZone, format: 'YYYY-MM-DD HH:mm:ss.SSS' });
  const choose = () => {
    // Who selects text to copy it wants nothing opened.
    if (options.enableLogDetails && !window.getSelection()?.toString()) onToggle(line.id);
  };
  return (
    <div
      role="listitem"
      aria-posinset={place}
      aria-setsize={of}
      className={cx(styles.row, isChosen && styles.chosen)}
    >
      <div className={styles.line} onClick={choose}>
        <span className={cx(styles.level, styles[line.level])} title={line.level} />
        {options.enableLogDetails && (
          <button
            type="button"
            className={styles.toggle}
            aria-expanded={isOpen}
            aria-label={`Details of line ${place}`}
            onClick={(event) => {
              event.stopPropagation();
              onToggle(line.id);
            }}
          >
            {isOpen ? '▾' : '▸'}
          </button>
        )}
        <span className={wrap ? styles.wrapped : styles.cut}>
          {options.showTime && <span className={styles.time}>{time}</span>}
          {line.repeated > 0 && <span className={styles.repeated}>{line.repeated + 1}×</span>}
          {options.columns?.map((name) => (
            <span key={name} className={styles.column} title={`${name}=${line.labels[name] ?? ''}`}>
              {line.labels[name] ?? '—'}
            </span>
          ))}
          {options.showLabels && (
            <span className={styles.labels}>{writeLabels(line.labels, options.hiddenLabels)}</span>
          )}
          <Text
            line={line.line}
            pretty={options.prettifyLogMessage}
            searched={searched}
            found={styles.found}
          />
        </span>
      </div>
      {isOpen && <Details line={line} time={time} actions={actions} columns={options.columns ?? []} />}
    </div>
  );
});

const writeLabels = (labels: Record<string, string>, hidden: Record<string, string> = {}) =>
  Object.entries(labels)
    .filter(([name]) => !(name in hidden))
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');

interface TextProps {
  line: string;
  pretty: boolean;
  searched: RegExp | undefined;
  found: string;
}

function Text({ line, pretty, searched, found }: TextProps) {
  const marks = marked(pretty ? prettified(line) : line, searched);
  return marks.map(({ text, style, isFound }, index) =>
    isFound ? (
      <mark key={index} className={found} style={style}>
        {text}
      </mark>
    ) : (
      <span key={index} style={style}>
        {text}
      </span>
    ),
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

export type RowStyles = ReturnType<typeof rowStyles>;

const LINE_HEIGHT = 20;

export const rowStyles = (theme: GrafanaTheme2) => ({
  ...levels(theme),
  row: css({
    contain: 'layout style',
    '&:hover': { background: theme.colors.action.hover },
    '&:hover button, & button:focus-visible': { opacity: 1 },
  }),
  chosen: css({ background: theme.colors.warning.transparent }),
  line: css({ cursor: 'default', display: 'flex', lineHeight: `${LINE_HEIGHT}px` }),
  level: css({ flex: '0 0 3px', marginRight: 4 }),
  toggle: css({
    alignSelf: 'flex-start',
    background: 'none',
    border: 0,
    color: theme.colors.text.secondary,
    flex: '0 0 18px',
    height: LINE_HEIGHT,
    lineHeight: `${LINE_HEIGHT}px`,
    opacity: 0.5,
    padding: 0,
  }),
  cut: css({ paddingRight: 8, whiteSpace: 'pre' }),
  wrapped: css({ flex: '1 1 auto', minWidth: 0, overflowWrap: 'anywhere', whiteSpace: 'pre-wrap' }),
  time: css({ color: theme.colors.text.secondary, fontVariantNumeric: 'tabular-nums', paddingRight: 10 }),
  repeated: css({ color: theme.colors.warning.text, paddingRight: 10 }),
  labels: css({ color: theme.colors.info.text, paddingRight: 10 }),
  column: css({
    color: theme.colors.info.text,
    display: 'inline-block',
    marginRight: 10,
    maxWidth: 260,
    minWidth: 90,
    overflow: 'hidden',
    textOverflow: 'ellipsis',
    verticalAlign: 'top',
    whiteSpace: 'pre',
  }),
  found: css({ background: theme.colors.warning.transparent, color: theme.colors.warning.text, padding: 0 }),
});

function levels(theme: GrafanaTheme2): Record<Level, string> {
  const entries = Object.entries(COLORS).map(([level, color]) => {
    const shown =
      level === 'unknown' ? theme.colors.border.strong : theme.visualization.getColorByName(color);
    return [level, css({ background: shown })];
  });
  return Object.fromEntries(entries) as Record<Level, string>;
}
