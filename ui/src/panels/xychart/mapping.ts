/** Which fields an XY chart draws against each other. */
import {
  FieldType,
  getFieldDisplayName,
  getFieldMatcher,
  type DataFrame,
  type Field,
  type MatcherConfig,
} from '@grafana/data';

export interface Dimension {
  matcher?: MatcherConfig;
}

/** A series as a dashboard asks for it. What it leaves out is chosen as where nothing is asked for. */
export interface SeriesRule {
  /** By its place, the query it comes from, or its name; absent, each frame gives a series. */
  frame?: Dimension;
  x?: Dimension;
  y?: Dimension;
  /** How large points are, between the least and the greatest size. */
  size?: Dimension;
  /** What points are coloured by. */
  color?: Dimension;
  name?: { fixed?: string };
}

export interface XySeries {
  name: string;
  x: Field;
  y: Field;
  size?: Field;
  color?: Field;
}

const isNumeric = ({ type }: Field) => type === FieldType.number || type === FieldType.time;

/**
 * The series of frames. The first number or time of a frame goes along x and the other numbers up y, unless a rule says which;
 * a frame that has not what a rule names gives none. Without a mapping by hand there is one rule, for all that is found.
 */
export function xySeries(frames: DataFrame[], mapping: 'auto' | 'manual', rules: SeriesRule[]): XySeries[] {
  const [first = {}] = rules;
  const asked = mapping === 'manual' && rules.length ? rules : [first];
  return asked.flatMap((rule) =>
    frames
      .filter((frame, index) => isFrame(rule.frame?.matcher, frame, index))
      .flatMap((frame) => seriesOf(rule, frame, frames)),
  );
}

/** Whether a frame is one that is asked for. */
export function isFrame(matcher: MatcherConfig | undefined, frame: DataFrame, index: number): boolean {
  switch (matcher?.id) {
    case undefined:
      return true;
    case 'byIndex':
      return Number(matcher.options) === index;
    case 'byRefId':
      return frame.refId === matcher.options;
    case 'byName':
      return frame.name === matcher.options;
    default:
      return false;
  }
}

function seriesOf(rule: SeriesRule, frame: DataFrame, frames: DataFrame[]): XySeries[] {
  const numbers = frame.fields.filter(isNumeric);
  const named = (dimension: Dimension | undefined, among: Field[]) => {
    if (!dimension?.matcher) return undefined;
    const matches = getFieldMatcher(dimension.matcher);
    return among.filter((field) => matches(field, frame, frames));
  };
  const x = (named(rule.x, numbers) ?? numbers)[0];
  if (!x) return [];
  const [size] = named(rule.size, numbers) ?? [];
  const [color] = named(rule.color, frame.fields) ?? [];
  const rest = numbers.filter(({ type }) => type === FieldType.number);
  const ys = named(rule.y, rest) ?? rest.filter((field) => field !== size && field !== color);
  return ys
    .filter((y) => y !== x && !isHidden(y))
    .map((y) => ({
      name: rule.name?.fixed || getFieldDisplayName(y, frame, frames),
      x,
      y,
      ...(size ? { size } : {}),
      ...(color ? { color } : {}),
    }));
}

const isHidden = ({ config }: Field) => Boolean((config.custom as Custom | undefined)?.hideFrom?.viz);

/** What is said about how a series is drawn, below `custom` of its field up y. */
export interface Custom {
  show?: 'points' | 'lines' | 'points+lines';
  pointSize?: { fixed?: number; min?: number; max?: number };
  pointShape?: 'circle' | 'square';
  pointStrokeWidth?: number;
  fillOpacity?: number;
  lineWidth?: number;
  lineStyle?: { fill?: string; dash?: number[] };
  hideFrom?: { viz?: boolean; legend?: boolean; tooltip?: boolean };
}

/** The least and the greatest number of fields, with room about a single one. */
export function range(fields: Field[]): [min: number, max: number] {
  let [min, max] = [Infinity, -Infinity];
  for (const { values } of fields) {
    for (const value of values as unknown[]) {
      if (typeof value !== 'number' || !Number.isFinite(value)) continue;
      min = Math.min(min, value);
      max = Math.max(max, value);
    }
  }
  if (min > max) return [0, 1];
  return min === max ? [min - 1, max + 1] : [min, max];
}

const FIXED_PX = 5;
const LEAST_PX = 1;
const GREATEST_PX = 50;

/** How many pixels points are across, by their row: the areas of two are to each other as what they stand for. */
export function pointSizes(size: Field | undefined, { pointSize = {} }: Custom): (row: number) => number {
  const { fixed = FIXED_PX, min = LEAST_PX, max = GREATEST_PX } = pointSize;
  if (!size) return () => fixed;
  const [low, high] = range([size]);
  const [least, greatest] = [min ** 2, max ** 2];
  return (row) => {
    const value: unknown = size.values[row];
    if (typeof value !== 'number' || !Number.isFinite(value)) return fixed;
    return Math.sqrt(least + ((value - low) / (high - low)) * (greatest - least));
  };
}

/** How many pixels the largest point of a series is across; nothing where it has only lines. */
export function largestPoint({ y, size }: XySeries): number {
  const { show, pointSize: { fixed = FIXED_PX, max = GREATEST_PX } = {} } = (y.config.custom ?? {}) as Custom;
  if (show === 'lines') return 0;
  return size ? Math.max(fixed, max) : fixed;
}
