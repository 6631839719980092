/** Finds what is wrong with a dashboard's JSON, where, and what to do about it. */
import { dateMath, rangeUtil } from '@grafana/data';
import { jsonLanguage } from '@codemirror/lang-json';
import { Text } from '@codemirror/state';
import type { SyntaxNode } from '@lezer/common';
import { PANEL_TYPES } from '~/panels';
import { isObject } from '../json';

type Path = (string | number)[];

export interface Problem {
  /** Where it is, such as `panels[2].gridPos.w`. */
  place: string;
  /** What is wrong, and the remedy. */
  message: string;
  /** From 1; 0 where the place is not in the text. */
  line: number;
  from: number;
  to: number;
  severity: 'error' | 'warning';
}

type Report = (path: Path, message: string, severity?: Problem['severity']) => void;

const COLUMNS = 24;
const VARIABLE_TYPES = [
  'query',
  'custom',
  'datasource',
  'interval',
  'constant',
  'textbox',
  'adhoc',
  'groupby',
  'switch',
  'system',
  'snapshot',
];

export function validateDashboard(text: string): Problem[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    return [unparsed(text, error)];
  }
  const found: { path: Path; message: string; severity: Problem['severity'] }[] = [];
  const report: Report = (path, message, severity = 'error') => found.push({ path, message, severity });
  dashboard(parsed, report);
  if (!found.length) return [];
  const doc = Text.of(text.split('\n'));
  const top = jsonLanguage.parser.parse(text).topNode;
  return found.map(({ path, message, severity }) => {
    const node = nodeAt(text, top, path);
    const from = node?.from ?? 0;
    const line = node ? doc.lineAt(from).number : 0;
    return { place: written(path), message, severity, line, from, to: node?.to ?? from };
  });
}

function unparsed(text: string, error: unknown): Problem {
  const doc = Text.of(text.split('\n'));
  let at = text.length;
  jsonLanguage.parser.parse(text).iterate({
    enter: ({ type, from }) => {
      if (type.isError) at = Math.min(at, from);
    },
  });
  const { number, from } = doc.lineAt(Math.min(at, doc.length));
  const why = error instanceof Error ? error.message.replace(/ in JSON.*| \(line.*/, '') : String(error);
  const message = `This is not JSON from here on (${why}): look for a comma, a quote or a bracket that is missing or too many.`;
  return {
    place: `line ${number}, column ${at - from + 1}`,
    message,
    severity: 'error',
    line: number,
    from: at,
    to: at,
  };
}

export const written = (path: Path): string =>
  path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : text ? `${text}.${part}` : part),
    '',
  ) || 'the dashboard';

function nodeAt(text: string, top: SyntaxNode, path: Path): SyntaxNode | undefined {
  let node: SyntaxNode | null = top.firstChild;
  for (const part of path) {
    if (!node) return undefined;
    const found: SyntaxNode | undefined = childAt(text, node, part);
    // What is missing is missing in what it should be in.
    if (!found) return node;
    node = found;
  }
  return node ?? undefined;
}

function childAt(text: string, node: SyntaxNode, part: string | number): SyntaxNode | undefined {
  let index = 0;
  for (let child = node.firstChild; child; child = child.nextSibling) {
    if (typeof part === 'number') {
      if (/^[[\],]$/.test(child.name)) continue;
      if (index++ === part) return child;
    } else if (child.name === 'Property' && child.firstChild) {
      const { from, to } = child.firstChild;
      if (text.slice(from, to) === JSON.stringify(part)) return child.lastChild ?? child;
    }
  }
  return undefined;
}

function dashboard(json: unknown, report: Report): void {
  if (!isObject(json)) return report([], 'A dashboard is a JSON object: begin with { and end with }.');
  if (typeof json.title !== 'string' || !json.title.trim())
    report(['title'], 'A dashboard needs a title: add "title": "…".');
  const panels = list(json, ['panels'], report, 'panels');
  const ids = new Map<number, string>();
  panels.forEach((each, index) => panel(each, ['panels', index], ids, report));
  if (
    json.tags !== undefined &&
    !(Array.isArray(json.tags) && json.tags.every((tag) => typeof tag === 'string'))
  )
    report(['tags'], 'Tags are a list of texts: write ["a", "b"].');
  if (json.schemaVersion !== undefined && typeof json.schemaVersion !== 'number')
    report(['schemaVersion'], 'The version of the schema is a number, such as 42.');
  if (
    json.refresh &&
    typeof json.refresh === 'string' &&
    json.refresh !== 'auto' &&
    !isInterval(json.refresh)
  )
    report(
      ['refresh'],
      `${JSON.stringify(json.refresh)} is no interval: write one such as "30s" or "5m", or "" for none.`,
    );
  time(json.time, report);
  variables(json, report);
  annotations(json, report);
  list(json, ['links'], report, 'links').forEach((link, index) => {
    if (!isObject(link)) report(['links', index], 'A link is an object with "title", "type" and "url".');
  });
}

function list(json: Record<string, unknown>, path: [string], report: Report, what: string): unknown[] {
  const value = json[path[0]];
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  report(path, `The ${what} are a list: write [ … ].`);
  return [];
}

const isInterval = (text: string) => {
  try {
    return rangeUtil.intervalToMs(text) > 0;
  } catch {
    return false;
  }
};

function time(value: unknown, report: Report): void {
  if (value === undefined) return;
  if (!isObject(value)) return report(['time'], 'The time is an object with "from" and "to".');
  for (const end of ['from', 'to'] as const) {
    const text = value[end];
    if (typeof text !== 'string' || !dateMath.isValid(text))
      report(
        ['time', end],
        `${JSON.stringify(text ?? null)} is no time: write one such as "now-6h", "now" or "2026-01-31T12:00:00Z".`,
      );
  }
}

function panel(value: unknown, path: Path, ids: Map<number, string>, report: Report): void {
  if (!isObject(value)) return report(path, 'A panel is an object with "type" and "gridPos".');
  const { id, type, gridPos, targets, panels } = value;
  if (typeof type !== 'string')
    report([...path, 'type'], `A panel needs a type, such as "timeseries" or "row".`);
  else if (type !== 'row' && !PANEL_TYPES.includes(type))
    report(
      [...path, 'type'],
      `There is no panel of type "${type}": it shows nothing here. Choose one of ${PANEL_TYPES.join(', ')}.`,
      'warning',
    );
  if (id !== undefined && typeof id !== 'number')
    report([...path, 'id'], 'The id of a panel is a number, or left out.');
  if (typeof id === 'number') {
    const other = ids.get(id);
    if (other)
      report([...path, 'id'], `${other} has the id ${id}, too: give this one another, or leave it out.`);
    ids.set(id, written(path));
  }
  if (gridPos !== undefined) place(gridPos, [...path, 'gridPos'], report);
  if (targets !== undefined && !Array.isArray(targets))
    report([...path, 'targets'], 'The queries of a panel are a list: write [ … ].');
  if (Array.isArray(targets)) queries(targets, [...path, 'targets'], report);
  if (Array.isArray(panels))
    panels.forEach((inner, index) => panel(inner, [...path, 'panels', index], ids, report));
}

function place(value: unknown, path: Path, report: Report): void {
  if (!isObject(value))
    return report(path, 'The place of a panel is an object: {"x": 0, "y": 0, "w": 12, "h": 8}.');
  for (const side of ['x', 'y', 'w', 'h'] as const) {
    const number = value[side];
    const least = side === 'w' || side === 'h' ? 1 : 0;
    if (number === undefined) continue;
    if (typeof number !== 'number' || !Number.isInteger(number) || number < least)
      report([...path, side], `"${side}" is a whole number of cells from ${least}.`);
  }
  const { x = 0, w = 1 } = value as { x?: number; w?: number };
  if (typeof x === 'number' && typeof w === 'number' && x + w > COLUMNS)
    report(
      [...path, 'w'],
      `The grid has ${COLUMNS} columns, and this panel ends at column ${x + w}: make "x" or "w" smaller.`,
    );
}

function queries(targets: unknown[], path: Path, report: Report): void {
  const taken = new Set<unknown>();
  targets.forEach((target, index) => {
    if (!isObject(target)) return report([...path, index], 'A query is an object with "refId" and "expr".');
    const { refId } = target;
    if (refId !== undefined && taken.has(refId))
      report(
        [...path, index, 'refId'],
        `Another query of this panel is called ${JSON.stringify(refId)}, too: choose another letter.`,
      );
    taken.add(refId ?? Symbol('none'));
    return undefined;
  });
}

function named(value: unknown, path: Path, report: Report): Record<string, unknown>[] {
  if (value === undefined) return [];
  const inner = isObject(value) ? value.list : undefined;
  if (isObject(value) && (inner === undefined || inner === null)) return [];
  if (Array.isArray(inner)) return inner as Record<string, unknown>[];
  report(path, `This is an object with a list: write {"list": [ … ]}.`);
  return [];
}

function variables(json: Record<string, unknown>, report: Report): void {
  const taken = new Set<string>();
  named(json.templating, ['templating'], report).forEach((variable, index) => {
    const path: Path = ['templating', 'list', index];
    if (!isObject(variable)) return report(path, 'A variable is an object with "name" and "type".');
    const { name, type } = variable;
    if (typeof name !== 'string' || !/^\w+$/.test(name))
      report([...path, 'name'], 'The name of a variable has letters, digits and _ only.');
    else if (taken.has(name))
      report([...path, 'name'], `Another variable is called ${name}, too: choose another name.`);
    taken.add(String(name));
    if (!VARIABLE_TYPES.includes(String(type)))
      report(
        [...path, 'type'],
        `There are no variables of type ${JSON.stringify(type ?? null)}: choose one of ${VARIABLE_TYPES.slice(0, 9).join(', ')}.`,
      );
    return undefined;
  });
}

function annotations(json: Record<string, unknown>, report: Report): void {
  named(json.annotations, ['annotations'], report).forEach((query, index) => {
    const path: Path = ['annotations', 'list', index];
    if (!isObject(query)) return report(path, 'Annotations are an object with "name" and a query.');
    if (typeof query.name !== 'string' || !query.name) report([...path, 'name'], 'Annotations need a name.');
    return undefined;
  });
}
