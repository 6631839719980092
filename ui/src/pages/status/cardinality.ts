import type { CardinalityEntry } from '~/api/operations';
import { count } from '~/app/format';

/** By how much the series of an entry are more or less than they were. */
export function growth({ series, before }: Pick<CardinalityEntry, 'series' | 'before'>): string {
  if (series === before) return '';
  if (before === 0) return 'new';
  const gained = series - before;
  const sign = gained > 0 ? '+' : '';
  return `${sign}${count(gained)} (${sign}${((100 * gained) / before).toFixed(0)} %)`;
}

/** The selector of the series of a metric, or of a label and its value. */
export function selectorOf({ name, value }: CardinalityEntry): string {
  if (value === undefined) return `{__name__=${JSON.stringify(name)}}`;
  const label = /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) ? name : JSON.stringify(name);
  return `{${label}=${JSON.stringify(value)}}`;
}
