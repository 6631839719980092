/** What a bar chart shows, from frames. */
import {
  FieldType,
  cacheFieldDisplayNames,
  dateTimeFormat,
  fieldColorModeRegistry,
  getFieldDisplayName,
  outerJoinDataFrames,
  type DataFrame,
  type Field,
  type GrafanaTheme2,
} from '@grafana/data';
import { hiddenFrom, type Named } from '../shared/legendItems';

export interface BarSeries extends Named {
  /** The colour of one of its bars. */
  colorAt: (row: number) => string;
}

export interface Chart {
  categories: string[];
  series: BarSeries[];
}

export type Stacking = 'none' | 'normal' | 'percent';

interface Choice {
  /** The field that names the bars. */
  xField?: string | undefined;
  /** The field whose values colour the bars. */
  colorByField?: string | undefined;
  timeZone: string;
}

/** The first text or time names the bars; each number is a series of them. Series over time stand side by side. */
export function readChart(frames: DataFrame[], choice: Choice, theme: GrafanaTheme2): Chart | undefined {
  const filled = frames.filter(({ length }) => length);
  cacheFieldDisplayNames(filled);
  const [first] = filled;
  if (!first) return undefined;
  const isTimed = ({ fields }: DataFrame) => fields.some(({ type }) => type === FieldType.time);
  const joined =
    filled.length > 1 && isTimed(first)
      ? outerJoinDataFrames({ frames: filled.filter(isTimed), keepDisplayNames: true })
      : undefined;
  const frame = joined ?? first;
  const named = (name: string | undefined) =>
    name === undefined
      ? undefined
      : frame.fields.find((field) => field.name === name || getFieldDisplayName(field, frame) === name);
  const x =
    named(choice.xField) ??
    frame.fields.find(({ type }) => type === FieldType.string) ??
    frame.fields.find(({ type }) => type === FieldType.time);
  const colored = named(choice.colorByField);
  const numbers = frame.fields.filter((field) => field !== x && field.type === FieldType.number);
  // What only colours has no bars, unless there would be none at all.
  const others = numbers.filter((field) => field !== colored);
  const series = (others.length ? others : numbers).map((field, index): BarSeries => {
    const color = seriesColor(field, index, theme);
    const byValue = colored ?? (isColoredByValue(field) ? field : undefined);
    const colorAt = (row: number) => byValue?.display?.(byValue.values[row]).color ?? color;
    return { field, name: getFieldDisplayName(field, frame), color, colorAt };
  });
  return { categories: categories(x, frame.length, choice.timeZone), series };
}

const isColoredByValue = ({ config }: Field) =>
  Boolean(fieldColorModeRegistry.getIfExists(config.color?.mode)?.isByValue);

function seriesColor(field: Field, index: number, theme: GrafanaTheme2): string {
  const { palette } = theme.visualization;
  const own = field.state?.seriesIndex === undefined ? undefined : field.display?.(1).color;
  return own ?? palette[index % palette.length] ?? 'gray';
}

function categories(x: Field | undefined, length: number, timeZone: string): string[] {
  return Array.from({ length }, (_, row) => {
    const value: unknown = x?.values[row];
    return x?.type === FieldType.time
      ? dateTimeFormat(Number(value), { timeZone })
      : String(value ?? row + 1);
  });
}

export interface Bar {
  series: BarSeries;
  row: number;
  value: number;
  /** Where it begins and ends on the axis of values. */
  from: number;
  to: number;
}

/** The bars of each category. Nothing is drawn of what is hidden or has no value; what is below zero is stacked downwards. */
export function barsOf({ series, categories: rows }: Chart, stacking: Stacking): Bar[][] {
  const shown = series.filter(({ field }) => !hiddenFrom(field).viz);
  return rows.map((_, row) => {
    const values = shown.map(({ field }) => field.values[row] as unknown);
    const total = values.reduce<number>((sum, value) => sum + Math.abs(Number(value) || 0), 0) || 1;
    let [above, below] = [0, 0];
    return shown.flatMap((each, index): Bar[] => {
      const value = values[index];
      if (typeof value !== 'number' || !Number.isFinite(value)) return [];
      const drawn = stacking === 'percent' ? value / total : value;
      if (stacking === 'none') return [{ series: each, row, value, from: 0, to: drawn }];
      const from = drawn < 0 ? below : above;
      if (drawn < 0) below += drawn;
      else above += drawn;
      return [{ series: each, row, value, from, to: from + drawn }];
    });
  });
}

/** The least and greatest value that is shown: what the fields say, or else all bars, and zero. */
export function bounds(bars: Bar[]): { min: number; max: number } {
  const fields = [...new Set(bars.map(({ series }) => series.field))];
  const isSet = (value: number | null | undefined) => value !== null && value !== undefined;
  const softs = (name: keyof Soft) =>
    fields.map((field) => softOf(field)[name]).filter((each) => isSet(each));
  let [min, max] = [Math.min(0, ...softs('axisSoftMin')), Math.max(0, ...softs('axisSoftMax'))];
  for (const { from, to } of bars) {
    min = Math.min(min, from, to);
    max = Math.max(max, from, to);
  }
  const hard = {
    min: fields.map(({ config }) => config.min).find(isSet) ?? min,
    max: fields.map(({ config }) => config.max).find(isSet) ?? max,
  };
  return hard.max > hard.min ? hard : { min: hard.min, max: hard.min + 1 };
}

interface Soft {
  axisSoftMin?: number;
  axisSoftMax?: number;
}

const softOf = ({ config }: Field): Soft => (config.custom as Soft | undefined) ?? {};
