import { spans, type Span } from './ansi';

export interface Mark extends Span {
  /** Whether it is what was searched for. */
  isFound: boolean;
}

/** A line in the colours of terminals, with what was searched for told apart. */
export function marked(line: string, searched: RegExp | undefined): Mark[] {
  return spans(line).flatMap(({ text, style }) =>
    parts(text, searched).map(([part, isFound]) => ({ text: part, style, isFound })),
  );
}

function parts(text: string, searched: RegExp | undefined): [text: string, isFound: boolean][] {
  if (!searched) return [[text, false]];
  const result: [string, boolean][] = [];
  let from = 0;
  for (const match of text.matchAll(searched)) {
    if (!match[0]) continue;
    if (match.index > from) result.push([text.slice(from, match.index), false]);
    result.push([match[0], true]);
    from = match.index + match[0].length;
  }
  if (from < text.length || !result.length) result.push([text.slice(from), false]);
  return result;
}

const FILTER = /\|([=~])\s*(?:"((?:[^"\\]|\\.)*)"|`([^`]*)`)/g;

/** What the line filters of queries search for; filters that leave lines out find nothing in those that stay. */
export function searchedBy(queries: string[]): RegExp | undefined {
  const sources = queries.flatMap((query) =>
    [...query.matchAll(FILTER)].map(([, kind, quoted, raw]) => {
      const value = raw ?? unescaped(quoted ?? '');
      if (kind === '=') return value.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
      // Expressions of the server's kind that browsers cannot read are not marked.
      return readable(value) ? `(?:${value})` : '';
    }),
  );
  const all = sources.filter(Boolean);
  return all.length ? new RegExp(all.join('|'), 'g') : undefined;
}

const unescaped = (text: string) => text.replace(/\\(["\\])/g, '$1');

function readable(source: string): boolean {
  try {
    return !new RegExp(source).test('');
  } catch {
    return false;
  }
}
