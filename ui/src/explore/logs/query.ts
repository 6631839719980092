/** Queries of logs, read and changed as text: what is written by hand stays as it was written. */

const STRING = '"(?:[^"\\\\]|\\\\.)*"|`[^`]*`';
const SELECTOR = new RegExp(`\\{(?:[^{}"\`]|${STRING})*\\}`);

/** Where a label comes from: the stream, or what finds it in lines. */
export interface Origin {
  isStream?: boolean;
  parser?: string | undefined;
}

/** Asks for the value of a label, or leaves it out. */
export type LabelTold = (name: string, value: string, operator: '=' | '!=', origin: Origin) => void;

export const isMetricQuery = (expr: string) => !/^\s*(?:#.*\n\s*)*\{/.test(expr);

/** The selector of a query, such as `{app="a"}`. */
export const selectorOf = (expr: string): string | undefined => SELECTOR.exec(expr)?.[0];

export const volumeOf = (expr: string) =>
  expr.trim() ? `sum by (detected_level) (count_over_time(${expr} [$__auto]))` : '';

/** A name that a selector or filter takes as it is. */
const isPlainName = (name: string) => /^[a-zA-Z_]\w*$/.test(name);

/**
 * A log query with a label's value asked for, or left out. Labels of streams are asked for in the selector; others are found only behind
 * it, and where a parser finds them, behind that. What was asked of the same value before gives way.
 */
export function withLabel(
  expr: string,
  name: string,
  value: string,
  operator: '=' | '!=',
  { isStream = false, parser }: Origin = {},
): string {
  if (!isPlainName(name)) return expr;
  const matcher = `${name}${operator}${JSON.stringify(value)}`;
  const cleared = without(expr, `${name}${operator === '=' ? '!=' : '='}${JSON.stringify(value)}`);
  if (cleared.includes(matcher)) return cleared;
  const selector = selectorOf(cleared);
  if (!selector) return `{${matcher}}`;
  const at = cleared.indexOf(selector);
  const [before, after] = [cleared.slice(0, at), cleared.slice(at + selector.length)];
  const inside = selector.slice(1, -1).trim();
  if (!inside) return `${before}{${matcher}}${after}`;
  if (isStream) return `${before}{${inside}, ${matcher}}${after}`;
  // A field that was found by a parser is there only behind it.
  const parse = parser && !new RegExp(`\\|\\s*${parser}\\b`).test(after) ? ` | ${parser}` : '';
  return `${before}${selector}${behindStages(after, `${parse} | ${matcher}`)}`;
}

/** Leaves a matcher out, in a selector or as a filter. */
function without(expr: string, matcher: string): string {
  for (const each of [` | ${matcher}`, `, ${matcher}`, `${matcher}, `, matcher]) {
    if (expr.includes(each)) return expr.replace(each, '');
  }
  return expr;
}

/** Puts a stage at the end of a pipeline, before a range that follows it. */
function behindStages(after: string, stage: string): string {
  const stages =
    new RegExp(`^(?:[^\\[\\]"\`)]|\\((?:[^()"\`]|${STRING})*\\)|${STRING})*`).exec(after)?.[0] ?? '';
  const trimmed = stages.trimEnd();
  return `${trimmed}${stage}${stages.slice(trimmed.length)}${after.slice(stages.length)}`;
}

/** A log query for lines that have a pattern, or for those without it. */
export function withPattern(expr: string, pattern: string, isWanted: boolean): string {
  const selector = selectorOf(expr);
  if (!selector) return expr;
  const at = expr.indexOf(selector) + selector.length;
  const filter = ` ${isWanted ? '|>' : '!>'} ${quoted(pattern)}`;
  const opposite = ` ${isWanted ? '!>' : '|>'} ${quoted(pattern)}`;
  const cleared = expr.replace(opposite, '');
  return cleared.includes(filter) ? cleared : `${cleared.slice(0, at)}${filter}${cleared.slice(at)}`;
}

const quoted = (text: string) => (text.includes('`') ? JSON.stringify(text) : `\`${text}\``);

/** A log query for lines that hold a text. */
export const withText = (expr: string, text: string): string => {
  const selector = selectorOf(expr);
  return selector ? expr.replace(selector, (found) => `${found} |= ${JSON.stringify(text)}`) : expr;
};

/** The stream that a line came from: its labels, without what was parsed or kept beside it. */
export function streamOf(labels: Record<string, string>, kinds: Record<string, string>): string {
  const own = Object.entries(labels).filter(([name]) => (kinds[name] ?? 'I') === 'I' && isPlainName(name));
  return `{${own.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(', ')}}`;
}
