import { writeName } from './tree';

/** Labels that are looked at, and which of their values are wanted; all where none is named. */
export type Chosen = Record<string, string[]>;

/** What selects a metric and values of labels, as PromQL. */
export function buildSelector(metric: string, chosen: Chosen): string {
  const isPlain = /^[a-zA-Z_:][\w:]*$/.test(metric);
  const matchers = Object.entries(chosen)
    .filter(([, values]) => values.length > 0)
    .map(([name, values]) => `${writeName(name)}${writeValues(values)}`);
  if (metric && !isPlain) matchers.unshift(JSON.stringify(metric));
  const inside = matchers.join(', ');
  return `${isPlain ? metric : ''}${inside ? `{${inside}}` : ''}`;
}

function writeValues(values: string[]): string {
  const [only, ...others] = values;
  if (!others.length) return `=${JSON.stringify(only ?? '')}`;
  const escaped = values.map((value) => value.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return `=~${JSON.stringify(escaped.join('|'))}`;
}

/** What holds all words of `text`; what begins with it comes first. */
export function matching(names: string[], text: string): string[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return names;
  const found = names.filter((name) => words.every((word) => name.toLowerCase().includes(word)));
  const begins = (name: string) => Number(!name.toLowerCase().startsWith(words[0] ?? ''));
  return found.sort((a, b) => begins(a) - begins(b));
}
