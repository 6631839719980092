import type { Labels } from '~/api/prometheus';

const LABEL = /\{\{\s*(.+?)\s*\}\}/g;
export const AUTO = '__auto';

/**
 * The name of a series: the format with its labels filled in. Without a format it is the series as PromQL
 * writes it; undefined leaves it to the panel to say only in what series differ.
 */
export function legend(labels: Labels, format: string | undefined, expr: string): string | undefined {
  if (format === AUTO) return Object.keys(labels).length ? undefined : expr;
  if (format) return format.replace(LABEL, (_match, name: string) => labels[name] ?? '');
  return writeSeries(labels) || expr;
}

/** A series as PromQL writes it. */
export function writeSeries(labels: Labels): string {
  const { __name__: name = '', ...rest } = labels;
  const pairs = Object.entries(rest)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  return pairs.length ? `${name}{${pairs.join(', ')}}` : name;
}
