import {
  FieldType,
  formattedValueToString,
  getFieldDisplayName,
  type DataFrame,
  type Field,
} from '@grafana/data';

/** A while during which a field had one value. */
export interface Span {
  fromMs: number;
  toMs: number;
  text: string;
  color: string;
}

export interface StateRow {
  name: string;
  spans: Span[];
}

interface Input {
  frames: DataFrame[];
  toMs: number;
  /** Whether equal values that follow each other are one span; otherwise each sample is one of its own. */
  merge: boolean;
}

export function stateRows({ frames, toMs, merge }: Input): StateRow[] {
  return frames.flatMap((frame) => {
    const time = frame.fields.find(({ type }) => type === FieldType.time);
    if (!time) return [];
    const shown = frame.fields.filter(
      (field) => field !== time && field.type !== FieldType.time && !isHidden(field),
    );
    return shown.map((field) => ({
      name: getFieldDisplayName(field, frame, frames),
      spans: merge ? mergedSpans(time, field, toMs) : singleSpans(time, field),
    }));
  });
}

const isHidden = ({ config }: Field) =>
  Boolean((config.custom as { hideFrom?: { viz?: boolean } } | undefined)?.hideFrom?.viz);

function show(field: Field, value: unknown): { text: string; color: string } {
  const shown = field.display?.(value);
  return { text: shown ? formattedValueToString(shown) : String(value), color: shown?.color ?? '#808080' };
}

/** A state lasts until the next sample, but no longer than a step where samples are missing. */
function mergedSpans(time: Field<number>, field: Field, endMs: number): Span[] {
  const { spanNulls } = (field.config.custom as { spanNulls?: boolean } | undefined) ?? {};
  const lastsMs = spanNulls ? Infinity : time.config.interval || Infinity;
  const spans: Span[] = [];
  let current: Span | undefined;
  let seenMs = 0;
  field.values.forEach((value: unknown, row) => {
    const fromMs = time.values[row] ?? 0;
    if (current) current.toMs = Math.min(fromMs, seenMs + lastsMs);
    if (fromMs - seenMs > lastsMs) current = undefined;
    if (value === null || value === undefined) {
      // Nothing is known until the next value, unless gaps are to be spanned.
      if (!spanNulls) current = undefined;
      return;
    }
    seenMs = fromMs;
    const { text, color } = show(field, value);
    if (current && current.text === text && current.color === color) return;
    current = { fromMs, toMs: endMs, text, color };
    spans.push(current);
  });
  if (current) current.toMs = Math.max(current.fromMs, Math.min(endMs, seenMs + lastsMs));
  return spans;
}

function singleSpans(time: Field<number>, field: Field): Span[] {
  const times = time.values;
  const stepMs =
    time.config.interval ??
    Math.min(...times.slice(1).map((at, index) => at - (times[index] ?? 0)), Infinity);
  const half = (Number.isFinite(stepMs) ? stepMs : 60_000) / 2;
  return field.values.flatMap((value: unknown, row): Span[] => {
    if (value === null || value === undefined) return [];
    const at = times[row] ?? 0;
    return [{ fromMs: at - half, toMs: at + half, ...show(field, value) }];
  });
}
