/** Times and numbers as pages show them. */
import { dateTimeFormat, getValueFormat, formattedValueToString } from '@grafana/data';
import { loadPreferences } from './preferences';

const formatted = (unit: string, value: number, decimals?: number) =>
  formattedValueToString(getValueFormat(unit)(value, decimals));

/** Seconds, such as `1.2 ms`. */
export const seconds = (value: number) => formatted('s', value, 1);
export const bytes = (value: number) => formatted('bytes', value, 1);
export const count = (value: number) => value.toLocaleString('en-US');

export function time(value: string | number | undefined): string {
  if (!value) return '';
  const ms = typeof value === 'number' ? value : Date.parse(value);
  // The zero time of a program in Go stands for never.
  if (!Number.isFinite(ms) || ms <= 0) return 'never';
  return dateTimeFormat(ms, { timeZone: loadPreferences().timeZone });
}

/** How long ago, such as `3m`. */
export function ago(value: string | undefined): string {
  const ms = value ? Date.parse(value) : NaN;
  if (!Number.isFinite(ms) || ms <= 0) return 'never';
  return `${duration(Date.now() - ms)} ago`;
}

export function duration(ms: number): string {
  const units: [number, string][] = [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'm'],
    [1000, 's'],
  ];
  let rest = Math.max(0, ms);
  const parts: string[] = [];
  for (const [size, unit] of units) {
    if (rest >= size && parts.length < 2) {
      parts.push(`${Math.floor(rest / size)}${unit}`);
      rest %= size;
    }
  }
  return parts.join(' ') || `${Math.round(rest)}ms`;
}
