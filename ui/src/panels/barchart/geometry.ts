/** Where what a bar chart shows is drawn. */
import { formattedValueToString, type Field } from '@grafana/data';
import { labelWidth } from '../shared/Axes';
import { hiddenFrom } from '../shared/legendItems';
import { niceBounds, ticks, type Scale, type Tick } from '../shared/scale';
import type { BarOptions } from './BarChartPanel';
import { barsOf, bounds, type Bar, type BarSeries, type Chart } from './chart';

const LABEL_ROOM = 22;
const LABEL_LENGTH_MAX = 24;
export const FONT_SIZE = 12;
/** About how wide a letter is, of the height of its font. */
const LETTER = 0.58;
export const textWidth = (text: string, size = FONT_SIZE) => text.length * size * LETTER;

export interface Axis {
  unit: string;
  scale: Scale;
  marks: Tick[];
}

const shortened = (text: string, length: number) =>
  text.length > length ? `${text.slice(0, length)}...` : text;

export const writtenValue = ({ series: { field }, value }: Bar) =>
  field.display ? formattedValueToString(field.display(value)) : String(value);

/** One size for all values: that of the longest which fits, within what can be read. */
function sizeOfValues(bars: Bar[], breadth: number, { text }: BarOptions, isHorizontal: boolean): number {
  if (text?.valueSize) return text.valueSize;
  const longest = Math.max(1, ...bars.map((bar) => writtenValue(bar).length));
  const fitting = isHorizontal ? breadth * 0.7 : (breadth * 0.95) / (longest * LETTER);
  return Math.max(8, Math.min(16, fitting));
}

const unitOf = ({ config }: Field) => config.unit ?? '';

type Custom = { axisPlacement?: string; axisLabel?: string; fillOpacity?: number; lineWidth?: number };
export const customOf = ({ config }: Field) => (config.custom as Custom | undefined) ?? {};

const axisLabel = (fields: Field[]) =>
  fields.map((field) => customOf(field).axisLabel).find((text) => text !== undefined && text !== '');

const isAxisHidden = (bars: Bar[], unit: string) =>
  bars
    .filter(({ series }) => unitOf(series.field) === unit)
    .every(({ series }) => customOf(series.field).axisPlacement === 'hidden');

/** An axis for each unit, of which two have room. */
function axes(bars: Bar[], { stacking }: BarOptions, room: number, isHorizontal: boolean): Axis[] {
  const units = [...new Set(bars.map(({ series }) => unitOf(series.field)))].slice(0, 2);
  return units.map((unit, index) => {
    // What has no axis of its own is measured on the first.
    const own = bars.filter(({ series }) => {
      const at = units.indexOf(unitOf(series.field));
      return at === index || (at < 0 && index === 0);
    });
    const { min, max } = bounds(own);
    const isFixed = own.some(({ series: { field } }) => typeof field.config.max === 'number');
    const count = room / (isHorizontal ? 90 : 50);
    const nice = isFixed || stacking === 'percent' ? { min, max } : niceBounds(min, max, count);
    const display = own[0]?.series.field.display;
    const write = (value: number) => {
      if (stacking === 'percent') return `${Math.round(value * 100)}%`;
      return display ? formattedValueToString(display(value)) : String(value);
    };
    const marks = ticks(nice.min, nice.max, count).map((value) => ({ value, label: write(value) }));
    return { unit, scale: { ...nice, from: 0, to: 0 }, marks };
  });
}

export interface Room {
  width: number;
  height: number;
  isHorizontal: boolean;
}

export interface Geometry {
  groups: Bar[][];
  names: string[];
  shown: BarSeries[];
  /** The axis of values at the left or below, and another at the right where there are two units. */
  first: Axis | undefined;
  second: Axis | undefined;
  left: number;
  right: number;
  bottom: number;
  /** What a category has, and a bar of it, in pixels. */
  pitch: number;
  breadth: number;
  /** Names that would run into each other are left out evenly: every so many are written. */
  every: number;
  valueSize: number;
  label: string | undefined;
}

export function geometryOf(
  chart: Chart,
  options: BarOptions,
  { width, height, isHorizontal }: Room,
): Geometry {
  const groups = barsOf(chart, options.stacking);
  const bars = groups.flat();
  const names = chart.categories.map((name) =>
    shortened(name, options.xTickLabelMaxLength ?? LABEL_LENGTH_MAX),
  );
  const longest = Math.max(...names.map((name) => textWidth(name)));
  const turn = (options.xTickLabelRotation * Math.PI) / 180;
  const nameRoom = Math.abs(Math.sin(turn)) * longest + LABEL_ROOM;
  const bottom = height - (isHorizontal ? LABEL_ROOM : Math.min(nameRoom, height / 2));
  const found = axes(bars, options, isHorizontal ? width : bottom, isHorizontal);
  const [first, second] = found.map((axis) =>
    isAxisHidden(bars, axis.unit) ? { ...axis, marks: [] } : axis,
  );
  const roomOf = (axis: Axis | undefined) =>
    axis?.marks.length ? labelWidth(axis.marks.map(({ label }) => label)) : 8;
  const left = isHorizontal ? Math.min(labelWidth(names), width / 2) : roomOf(first);
  const right = second && !isHorizontal ? width - roomOf(second) : width;
  const pitch = (isHorizontal ? bottom : right - left) / chart.categories.length;
  const shown = chart.series.filter(({ field }) => !hiddenFrom(field).viz);
  const across = options.stacking === 'none' ? Math.max(1, shown.length) : 1;
  const breadth = (pitch * options.groupWidth) / across;
  const needed = turn === 0 ? longest + 8 : FONT_SIZE + 4;
  return {
    ...{ groups, names, shown, first, second, left, right, bottom, pitch, breadth },
    every: Math.max(1, Math.ceil(needed / pitch)),
    valueSize: sizeOfValues(bars, breadth * options.barWidth, options, isHorizontal),
    label: axisLabel(shown.map(({ field }) => field)),
  };
}

/** An axis in its place. */
export function placed({ scale }: Axis, { left, bottom }: Geometry, { width, isHorizontal }: Room): Scale {
  return isHorizontal ? { ...scale, from: left, to: width - 16 } : { ...scale, from: bottom, to: 8 };
}

/** The axis on which a bar is measured. */
export function axisOf({ series }: Bar, { first, second }: Geometry): Axis | undefined {
  return second && unitOf(series.field) === second.unit ? second : first;
}
