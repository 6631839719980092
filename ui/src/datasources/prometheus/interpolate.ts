import type { Formatter } from '~/grafana-host/templates';

const escapeString = (value: string) =>
  value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');

/** For a regular expression inside a string: what has a meaning is escaped for the expression, then for the string. */
const escapeRegex = (value: string) =>
  value.replace(/[\\^$*+?.()|[\]{}"]/g, (found) =>
    found === '\\' ? '\\\\\\\\' : found === '"' ? '\\"' : `\\\\${found}`,
  );

/**
 * Values of variables as PromQL and LogQL want them in a label matcher. Those that can have several are regular expressions, the
 * rest are put in as they are.
 */
export const matcherFormat: Formatter = (value, variable) => {
  // The type says what Grafana calls it; scenes call it otherwise.
  const { multi, includeAll } = variable as unknown as { multi?: boolean; includeAll?: boolean };
  if (typeof value === 'string') {
    return multi || includeAll ? escapeRegex(value) : escapeString(value);
  }
  if (!Array.isArray(value)) return String(value);
  const escaped = value.map(escapeRegex);
  return escaped.length === 1 ? (escaped[0] ?? '') : `(${escaped.join('|')})`;
};
