/** Scales and their ticks, for the panels that draw by themselves. */
import { dateTimeFormat } from '@grafana/data';

export interface Scale {
  min: number;
  max: number;
  /** The pixel at which `min` is, and that of `max`; either may be the greater. */
  from: number;
  to: number;
}

export function position({ min, max, from, to }: Scale, value: number): number {
  return max === min ? from : from + ((value - min) / (max - min)) * (to - from);
}

export function valueAt({ min, max, from, to }: Scale, pixel: number): number {
  return to === from ? min : min + ((pixel - from) / (to - from)) * (max - min);
}

/** Round numbers between two, about `count` of them. */
export function ticks(min: number, max: number, count: number): number[] {
  if (!(max > min) || count < 1) return [min];
  const rough = (max - min) / count;
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const step =
    [1, 2, 2.5, 5, 10].map((factor) => factor * magnitude).find((candidate) => candidate >= rough) ?? rough;
  const result: number[] = [];
  for (let index = Math.ceil(min / step); index * step <= max + step * 1e-9; index++)
    result.push(index * step);
  return result;
}

/** Bounds on round numbers that hold both, with some room above what is not zero. */
export function niceBounds(min: number, max: number, count: number): { min: number; max: number } {
  const room = (max - min) * 0.02;
  const [low, high] = [min < 0 ? min - room : min, max > 0 ? max + room : max];
  const [first = 0, second = 1] = ticks(0, high - low, Math.max(1, count));
  const step = second - first;
  return { min: Math.floor(low / step) * step, max: Math.ceil(high / step) * step };
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const TIME_STEPS = [
  SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 15 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE,
  30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY, 365 * DAY,
]; // prettier-ignore

export interface Tick {
  value: number;
  label: string;
}

/** Times between two, as far apart as their labels need. */
export function timeTicks(fromMs: number, toMs: number, count: number, timeZone: string): Tick[] {
  const rough = (toMs - fromMs) / Math.max(1, count);
  const step = TIME_STEPS.find((candidate) => candidate >= rough) ?? 365 * DAY;
  const format =
    step < MINUTE ? 'HH:mm:ss' : step < DAY ? (toMs - fromMs > DAY ? 'MM/DD HH:mm' : 'HH:mm') : 'MM/DD';
  const result: Tick[] = [];
  for (let value = Math.ceil(fromMs / step) * step; value <= toMs; value += step) {
    result.push({ value, label: dateTimeFormat(value, { timeZone, format }) });
  }
  return result;
}
