import type { Completion, CompletionContext, CompletionResult } from '@codemirror/autocomplete';
import type { LogRange, LokiClient } from '~/api/loki';
import { CONVERSIONS, FUNCTIONS, LINE_FILTERS, RANGES, STAGES } from './logqlWords';

/** Where the cursor stands, by what is before it. */
export type Place =
  | { kind: 'labelValue'; label: string; written: string; selector: string | undefined }
  | { kind: 'labelName'; selector: string | undefined }
  | { kind: 'fieldValue'; field: string; written: string; query: string }
  | { kind: 'range' }
  | { kind: 'stage'; query: string }
  | { kind: 'unwrap'; query: string }
  | { kind: 'grouping'; query: string }
  | { kind: 'afterSelector' }
  | { kind: 'function' }
  | { kind: 'text' };

const SELECTOR = /\{(?:[^{}"`]|"(?:[^"\\]|\\.)*"|`[^`]*`)*\}/g;
const VALUE = /([\w.]+)\s*(?:=~|!~|!=|==|=)\s*["`]([^"`]*)$/;

/** What could be written next. */
export function placeOf(before: string, after: string): Place {
  const open = openBrace(before);
  if (open >= 0) {
    const selector = otherMatchers(before.slice(open + 1), after);
    const value = VALUE.exec(before.slice(open));
    if (value) return { kind: 'labelValue', label: value[1] ?? '', written: value[2] ?? '', selector };
    return insideString(before.slice(open)) ? { kind: 'text' } : { kind: 'labelName', selector };
  }
  if (/\[[\w$]*$/.test(before)) return { kind: 'range' };
  const query = selectorAndStages(before) ?? selectorAndStages(before + after) ?? '';
  const value = VALUE.exec(before);
  if (value && /\|[^|"`]*$/.test(before.slice(0, value.index)))
    return { kind: 'fieldValue', field: value[1] ?? '', written: value[2] ?? '', query };
  if (insideString(before)) return { kind: 'text' };
  if (/\|\s*unwrap\s+\w*$/.test(before)) return { kind: 'unwrap', query };
  if (/\b(?:by|without)\s*\([^)]*$/.test(before)) return { kind: 'grouping', query };
  if (/\|\s*\w*$/.test(before) || /\|[^|"`]*\b(?:and|or|keep|drop|,)\s+\w*$/.test(before))
    return { kind: 'stage', query };
  if (/[}"`]\s*$/.test(before)) return { kind: 'afterSelector' };
  return { kind: 'function' };
}

/** Where the brace lies that is not closed yet; below 0 where none is. Those in strings do not count. */
function openBrace(before: string): number {
  let open = -1;
  let quote = '';
  for (let at = 0; at < before.length; at++) {
    const char = before[at] ?? '';
    if (quote) {
      if (char === '\\' && quote === '"') at++;
      else if (char === quote) quote = '';
    } else if (char === '"' || char === '`') quote = char;
    else if (char === '{') open = at;
    else if (char === '}') open = -1;
  }
  return open;
}

function insideString(before: string): boolean {
  const rest = before.replace(/"(?:[^"\\]|\\.)*"|`[^`]*`/g, '');
  return /["`]/.test(rest);
}

const MATCHER = /([\w.]+)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|`[^`]*`)/g;

/** What the selector asks for already, beside what is being written: only what goes with it is offered. */
function otherMatchers(inside: string, after: string): string | undefined {
  const rest = after.slice(0, after.indexOf('}') < 0 ? 0 : after.indexOf('}'));
  const whole = [...inside.matchAll(MATCHER), ...rest.matchAll(MATCHER)].map(([matcher]) => matcher);
  return whole.length ? `{${whole.join(', ')}}` : undefined;
}

/** The last selector with its complete stages, whose lines have the fields that can be asked for. */
function selectorAndStages(text: string): string | undefined {
  const last = [...text.matchAll(SELECTOR)].at(-1);
  if (!last) return undefined;
  const behind = text.slice(last.index + last[0].length);
  const stages = [
    ...behind.matchAll(/\|\s*(json|logfmt|unpack|(?:pattern|regexp)\s+(?:"[^"]*"|`[^`]*`))(?=\s|$)/g),
  ];
  const closed = behind.search(/\[/);
  const own = stages.filter(({ index }) => closed < 0 || index < closed);
  return [last[0], ...own.map(([stage]) => stage)].join(' ');
}

export async function completeLogql(
  context: CompletionContext,
  client: LokiClient,
  range: LogRange,
): Promise<CompletionResult | null> {
  const before = context.state.sliceDoc(0, context.pos);
  const place = placeOf(before, context.state.sliceDoc(context.pos));
  const word = context.matchBefore(/[\w$]*/);
  const from = word?.from ?? context.pos;
  const isEmpty = !word || word.from === word.to;
  const none = () => [];
  switch (place.kind) {
    case 'labelValue': {
      const values = await client.labelValues(place.label, range, place.selector).catch(none);
      return values.length ? valuesAt(context.pos - place.written.length, values) : null;
    }
    case 'fieldValue': {
      if (!place.query) return null;
      const values = await client.fieldValues(place.field, place.query, range).catch(none);
      return values.length ? valuesAt(context.pos - place.written.length, values) : null;
    }
    case 'labelName': {
      const names = await client.labelNames(range, place.selector).catch(none);
      return { from, options: names.map((label) => ({ label, type: 'property', apply: `${label}="` })) };
    }
    case 'range':
      return { from, options: RANGES };
    case 'stage':
      return { from, options: [...STAGES, ...(await fields(place.query, client, range))] };
    case 'unwrap':
      return { from, options: [...(await fields(place.query, client, range)), ...CONVERSIONS] };
    case 'grouping': {
      const names = await client.labelNames(range).catch(none);
      const labels = names.map((label): Completion => ({ label, type: 'property' }));
      return { from, options: [...labels, ...(await fields(place.query, client, range))] };
    }
    case 'afterSelector':
      return context.explicit || before.endsWith(' ') ? { from: context.pos, options: LINE_FILTERS } : null;
    case 'function':
      return context.explicit || !isEmpty ? { from, options: FUNCTIONS } : null;
    case 'text':
      return null;
  }
}

const valuesAt = (from: number, values: string[]): CompletionResult => ({
  from,
  options: values.map((label) => ({ label, type: 'text' })),
  validFor: /^[^"`]*$/,
});

async function fields(query: string, client: LokiClient, range: LogRange): Promise<Completion[]> {
  if (!query) return [];
  const found = await client.fields(query, range).catch(() => []);
  return found.map(({ label, type, parsers }) => ({
    label,
    detail: [type, ...(parsers ?? [])].join(', '),
    type: 'variable',
  }));
}
