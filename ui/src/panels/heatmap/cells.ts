import { FieldType, getFieldDisplayName, type DataFrame, type Field } from '@grafana/data';

/** A rectangle of time and value, and how much is in it. */
export interface Cell {
  fromMs: number;
  toMs: number;
  low: number;
  high: number;
  count: number;
}

export interface Heatmap {
  cells: Cell[];
  /** Names of rows, where rows are categories: then row n lies between n and n + 1. */
  rows?: string[];
  /** Shows values on the axis of values. */
  field: Field | undefined;
}

export interface Calculation {
  xBuckets?: { mode?: 'size' | 'count'; value?: string };
  yBuckets?: { mode?: 'size' | 'count'; value?: string };
}

/** Cells as they come, from buckets that are a series each, or counted from plain series. */
export function heatmap(
  frames: DataFrame[],
  calculate: boolean,
  calculation: Calculation,
): Heatmap | undefined {
  const ready = frames.find(({ meta }) => String(meta?.type) === 'heatmap-cells');
  if (ready) return fromCells(ready);
  const series = frames.flatMap(toSeries);
  if (!series.length) return undefined;
  return calculate ? counted(series, calculation) : fromBuckets(series);
}

interface Series {
  name: string;
  times: number[];
  field: Field;
}

function toSeries(frame: DataFrame, _index: number, frames: DataFrame[]): Series[] {
  const time = frame.fields.find(({ type }) => type === FieldType.time);
  if (!time) return [];
  const numbers = frame.fields.filter(({ type }) => type === FieldType.number);
  return numbers.map((field) => ({
    name: getFieldDisplayName(field, frame, frames),
    times: time.values,
    field,
  }));
}

/** The usual distance between times. */
function stepOf(times: number[], configured: number | undefined): number {
  if (configured) return configured;
  const distances = times
    .slice(1)
    .map((at, index) => at - (times[index] ?? 0))
    .filter((distance) => distance > 0);
  return distances.length ? Math.min(...distances) : 60_000;
}

function fromCells({ fields }: DataFrame): Heatmap {
  const [x, low, high, count] = ['xMax', 'yMin', 'yMax', 'count'].map((name) =>
    fields.find((field) => field.name === name),
  );
  const times: number[] = x?.values ?? [];
  const step = stepOf([...new Set(times)], x?.config.interval ?? undefined);
  const cells = times.map((toMs, row) => ({
    fromMs: toMs - step,
    toMs,
    low: Number(low?.values[row]),
    high: Number(high?.values[row]),
    count: Number(count?.values[row]),
  }));
  return { cells, field: low };
}

/** Each series is a bucket; where their names are bounds they are put in order of these. */
function fromBuckets(series: Series[]): Heatmap {
  const bounds = series.map(({ name }) => (name === '+Inf' ? Infinity : Number(name)));
  const areBounds = bounds.every((bound) => !Number.isNaN(bound));
  const order = series.map((_, index) => index);
  if (areBounds) order.sort((a, b) => (bounds[a] ?? 0) - (bounds[b] ?? 0));
  const cells: Cell[] = [];
  order.forEach((at, row) => {
    const { times, field } = series[at] as Series;
    const step = stepOf(times, undefined);
    times.forEach((toMs, index) => {
      const count = Number(field.values[index] ?? NaN);
      if (Number.isFinite(count)) cells.push({ fromMs: toMs - step, toMs, low: row, high: row + 1, count });
    });
  });
  return { cells, rows: order.map((at) => series[at]?.name ?? ''), field: series[0]?.field };
}

const COLUMNS_DEFAULT = 60;
const ROWS_DEFAULT = 20;

function counted(series: Series[], { xBuckets, yBuckets }: Calculation): Heatmap | undefined {
  let [fromMs, toMs, min, max] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const { times, field } of series) {
    times.forEach((time, index) => {
      const value: unknown = field.values[index];
      if (typeof value !== 'number' || !Number.isFinite(value)) return;
      fromMs = Math.min(fromMs, time);
      toMs = Math.max(toMs, time);
      min = Math.min(min, value);
      max = Math.max(max, value);
    });
  }
  if (!(max >= min)) return undefined;
  const width = sizeOf(xBuckets, toMs - fromMs || 1, COLUMNS_DEFAULT);
  const height = sizeOf(yBuckets, max - min || 1, ROWS_DEFAULT);
  const cells = new Map<string, Cell>();
  for (const { times, field } of series) {
    times.forEach((time, index) => {
      const value: unknown = field.values[index];
      if (typeof value !== 'number' || !Number.isFinite(value)) return;
      const [column, row] = [Math.floor(time / width), Math.floor(value / height)];
      const key = `${column} ${row}`;
      const cell = cells.get(key) ?? {
        fromMs: column * width,
        toMs: (column + 1) * width,
        low: row * height,
        high: (row + 1) * height,
        count: 0,
      };
      cell.count += 1;
      cells.set(key, cell);
    });
  }
  return { cells: [...cells.values()], field: series[0]?.field };
}

function sizeOf(buckets: Calculation['xBuckets'], span: number, count: number): number {
  const value = Number(buckets?.value);
  if (buckets?.mode === 'size' && value > 0) return value;
  return span / (value > 0 ? value : count);
}
