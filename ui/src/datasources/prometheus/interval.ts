/** Steps and the durations that queries may name, by the rules of Grafana's data source. */
import { rangeUtil, type ScopedVars, type TimeRange } from '@grafana/data';

/** More points than this a server refuses to answer a range query with. */
const POINTS_MAX = 11_000;

export interface StepInput {
  /** What fits the width of the panel. */
  intervalMs: number;
  /** What the query says is the shortest, in milliseconds; 0 where it says nothing. */
  minStepMs: number;
  /** How often the data source says it scrapes. */
  scrapeIntervalMs: number;
  factor: number;
  range: { fromMs: number; toMs: number };
}

export interface Step {
  stepMs: number;
  rateIntervalMs: number;
}

/**
 * The step of a query, and what `$__rate_interval` is for it: long enough that each step sees at least two
 * scrapes even if one is missed.
 */
export function step({ intervalMs, minStepMs, scrapeIntervalMs, factor, range }: StepInput): Step {
  const shortestMs = minStepMs || scrapeIntervalMs;
  const safeMs = Math.ceil((range.toMs - range.fromMs) / POINTS_MAX / 1000) * 1000;
  const unscaledMs = Math.max(intervalMs, shortestMs);
  const stepMs = Math.max(unscaledMs * factor, safeMs);
  return { stepMs, rateIntervalMs: Math.max(unscaledMs + shortestMs, 4 * shortestMs) };
}

/** A duration such as `1m` or `$__interval` with its variables replaced; 0 where there is none. */
export function durationMs(text: string | undefined): number {
  const trimmed = text?.replace(/^>/, '').trim();
  if (!trimmed) return 0;
  try {
    return rangeUtil.intervalToMs(trimmed);
  } catch {
    return 0;
  }
}

/** Milliseconds in the largest unit that says them exactly, as PromQL reads it. */
export function writeDuration(ms: number): string {
  const units: [string, number][] = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
  ];
  for (const [unit, size] of units) {
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${Math.round(ms)}ms`;
}

/** What a query may name beside the dashboard's variables. */
export function durationVariables(range: TimeRange, { stepMs, rateIntervalMs }: Step): ScopedVars {
  const rangeMs = range.to.valueOf() - range.from.valueOf();
  const rangeS = Math.round(rangeMs / 1000);
  const variable = (value: string | number) => ({ text: value, value });
  return {
    __interval: variable(writeDuration(stepMs)),
    __interval_ms: variable(stepMs),
    __rate_interval: variable(writeDuration(rateIntervalMs)),
    __rate_interval_ms: variable(rateIntervalMs),
    __range: variable(`${rangeS}s`),
    __range_s: variable(rangeS),
    __range_ms: variable(rangeMs),
  };
}

/**
 * Start and end on multiples of the step, counted in the user's time zone, so that points stay where they are
 * when a dashboard refreshes. Seconds.
 */
export function aligned(
  range: TimeRange,
  stepMs: number,
  utcOffsetMs: number,
): { start: number; end: number; step: number } {
  const align = (ms: number) => Math.floor((ms + utcOffsetMs) / stepMs) * stepMs - utcOffsetMs;
  const start = align(range.from.valueOf()) / 1000;
  const end = align(range.to.valueOf()) / 1000;
  return { start, end, step: stepMs / 1000 };
}
