import type { Matcher } from '~/api/alertmanager';
import { encodeParameters } from '~/api/http';

/** The form for a silence of exactly such alerts. */
export function silenceHref(labels: Record<string, string>): string {
  const matchers = Object.entries(labels).map(([name, value]): Matcher => ({
    name,
    value,
    isRegex: false,
    isEqual: true,
  }));
  return `/silences/new?${encodeParameters({ matchers: JSON.stringify(matchers) })}`;
}

/** The form that changes a silence. */
export const editHref = (id: string) => `/silences/new?${encodeParameters({ id })}`;

export function readMatchers(search: string): Matcher[] {
  const empty = [{ name: '', value: '', isRegex: false, isEqual: true }];
  const text = new URLSearchParams(search).get('matchers');
  if (!text) return empty;
  try {
    const parsed: unknown = JSON.parse(text);
    const matchers = Array.isArray(parsed) ? parsed : [];
    const read = matchers.map(({ name, value, isRegex, isEqual }: Partial<Matcher>) => ({
      name: String(name ?? ''),
      value: String(value ?? ''),
      isRegex: Boolean(isRegex),
      isEqual: isEqual ?? true,
    }));
    return read.length ? read : empty;
  } catch {
    return empty;
  }
}

/** Milliseconds since the epoch as an input of local date and time wants it. */
export function localTime(ms: number): string {
  const offsetMs = new Date(ms).getTimezoneOffset() * 60_000;
  return new Date(ms - offsetMs).toISOString().slice(0, 16);
}
