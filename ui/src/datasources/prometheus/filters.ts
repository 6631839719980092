/** Ad hoc filters, which add a label matcher to every selector of an expression. */
import { parser } from '@prometheus-io/lezer-promql';

export interface Filter {
  key: string;
  operator: string;
  value: string;
  values?: string[];
}

const OPERATORS = new Set(['=', '!=', '=~', '!~']);

/** A value as a regular expression that matches nothing else. */
const literally = (value: string) => value.replace(/[\\^$*+?.()|[\]{}]/g, '\\$&');

function writeFilter({ key, operator, value, values }: Filter): string {
  const several = operator === '=|' || operator === '!=|';
  const known = several ? (operator === '=|' ? '=~' : '!~') : OPERATORS.has(operator) ? operator : '=';
  const name = /^[a-zA-Z_]\w*$/.test(key) ? key : JSON.stringify(key);
  return `${name}${known}${JSON.stringify(several ? (values ?? [value]).map(literally).join('|') : value)}`;
}

/** `expr` with the filters in each of its selectors; an expression that does not parse stays as it is. */
export function addFilters(expr: string, filters: Filter[]): string {
  const complete = filters.filter(({ key, operator }) => key && operator);
  if (!complete.length) return expr;
  const matchers = complete.map(writeFilter).join(',');
  const insertions: { at: number; text: string }[] = [];
  parser.parse(expr).iterate({
    enter({ type, node, from, to }) {
      if (type.name !== 'VectorSelector') return;
      const braces = node.getChild('LabelMatchers');
      if (!braces) {
        insertions.push({ at: to, text: `{${matchers}}` });
        return;
      }
      const inside = expr.slice(braces.from + 1, braces.to - 1).trim();
      const separator = inside === '' || inside.endsWith(',') ? '' : ',';
      insertions.push({ at: Math.max(from, braces.to - 1), text: `${separator}${matchers}` });
    },
  });
  let result = expr;
  for (const { at, text } of insertions.sort((a, b) => b.at - a.at)) {
    result = result.slice(0, at) + text + result.slice(at);
  }
  return result;
}
