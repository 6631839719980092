import { FieldType, type DataFrame } from '@grafana/data';

export interface LogLine {
  id: string;
  timeMs: number;
  /** Nanoseconds as text, where the source has them. */
  timeNs: string;
  line: string;
  labels: Record<string, string>;
  /** Which labels are of the stream, kept beside the line, or parsed from it. */
  kinds: Record<string, string>;
  level: Level;
  /** How many lines like it were left out after it. */
  repeated: number;
}

export type Level = 'critical' | 'error' | 'warning' | 'info' | 'debug' | 'trace' | 'unknown';

/** Levels as they are written in labels and in lines. */
const SPELLINGS: [Level, RegExp][] = [
  ['critical', /\b(?:critical|crit|fatal|emerg|alert|panic)\b/i],
  ['error', /\b(?:error|err)\b/i],
  ['warning', /\b(?:warning|warn)\b/i],
  ['info', /\b(?:info|information|notice|informational)\b/i],
  ['debug', /\b(?:debug|dbug|dbg)\b/i],
  ['trace', /\btrace\b/i],
];
const LEVEL_LABELS = ['detected_level', 'level', 'lvl', 'severity', 'severity_text', 'loglevel'];
/** Where in a line its level stands, if it has one. */
const LEVEL_WITHIN = 200;

export function levelOf(labels: Record<string, string>, line: string): Level {
  const named = LEVEL_LABELS.map((name) => labels[name]).find((level) => level && level !== 'unknown');
  const text = named ?? line.slice(0, LEVEL_WITHIN);
  return SPELLINGS.find(([, pattern]) => pattern.test(text))?.[0] ?? 'unknown';
}

/** Lines of frames of logs: those with labels of each line, and plain ones with a time and a text. */
export function readLines(frames: DataFrame[]): LogLine[] {
  const lines: LogLine[] = [];
  frames.forEach((frame, frameIndex) => {
    const byName = (name: string) => frame.fields.find((field) => field.name === name);
    const time = frame.fields.find(({ type }) => type === FieldType.time);
    const text =
      byName('Line') ?? byName('body') ?? frame.fields.find(({ type }) => type === FieldType.string);
    if (!time || !text) return;
    const labels = byName('labels');
    const ids = byName('id');
    const nanos = byName('tsNs');
    const kinds = byName('labelTypes');
    for (let row = 0; row < frame.length; row++) {
      const own = (labels?.values[row] as Record<string, string> | undefined) ?? text.labels ?? {};
      const line = String(text.values[row] ?? '');
      const timeMs = Number(time.values[row]);
      lines.push({
        id: String(ids?.values[row] ?? `${frameIndex}-${row}`),
        timeMs,
        timeNs: String(nanos?.values[row] ?? `${timeMs}000000`),
        line,
        labels: own,
        kinds: (kinds?.values[row] as Record<string, string> | undefined) ?? {},
        level: levelOf(own, line),
        repeated: 0,
      });
    }
  });
  return lines;
}

export type Dedup = 'none' | 'exact' | 'numbers' | 'signature';

/** What two lines must have in common to count as one. */
const KEYS: Record<Exclude<Dedup, 'none'>, (line: string) => string> = {
  exact: (line) => line.replace(/\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}[\d.,]*(?:Z|[+-]\d{2}:?\d{2})?/g, ''),
  numbers: (line) => line.replace(/\d/g, ''),
  signature: (line) => line.replace(/\w/g, ''),
};

/** Lines that follow one like them are counted and left out. */
export function deduplicated(lines: LogLine[], how: Dedup): LogLine[] {
  if (how === 'none') return lines;
  const kept: LogLine[] = [];
  let previous: string | undefined;
  for (const line of lines) {
    const key = KEYS[how](line.line);
    const last = kept.at(-1);
    if (last && key === previous) last.repeated += 1;
    else kept.push({ ...line });
    previous = key;
  }
  return kept;
}

/** The labels all lines have with the same value. */
export function commonLabels(lines: LogLine[]): Record<string, string> {
  const [first, ...rest] = lines;
  if (!first) return {};
  return Object.fromEntries(
    Object.entries(first.labels).filter(([name, value]) =>
      rest.every(({ labels }) => labels[name] === value),
    ),
  );
}

/** Newest or oldest first; lines of one millisecond by what they say beyond it. */
export function sorted(lines: LogLine[], order: 'Descending' | 'Ascending'): LogLine[] {
  const direction = order === 'Ascending' ? 1 : -1;
  return [...lines].sort(
    (a, b) => direction * (a.timeMs - b.timeMs || (a.timeNs < b.timeNs ? -1 : a.timeNs > b.timeNs ? 1 : 0)),
  );
}
