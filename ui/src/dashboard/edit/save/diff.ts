/** What is different between two states of a dashboard, in words. */
import { allPanels, type DashboardJson, type PanelJson } from '../../model';
import { isObject, isSame } from '../json';

export interface Change {
  /** What was changed, such as `Query A › Expr`; empty for the thing as a whole. */
  what: string;
  kind: 'added' | 'removed' | 'changed';
  before?: unknown;
  after?: unknown;
}

/** Changes of one thing: a panel, a variable, or what belongs to the dashboard as a whole. */
export interface ChangedThing {
  title: string;
  kind: 'added' | 'removed' | 'changed';
  changes: Change[];
}

/** The store's own: it says nothing of what somebody did. */
const OWN = new Set([
  'version',
  'id',
  'uid',
  'panels',
  'templating',
  'annotations',
  'links',
  'schemaVersion',
]);

export function differences(before: DashboardJson, after: DashboardJson): ChangedThing[] {
  const whole = leaves(strip(before), strip(after), []);
  return [
    ...(whole.length ? [{ title: 'Dashboard', kind: 'changed' as const, changes: whole }] : []),
    ...things(panelsById(before), panelsById(after), panelTitle),
    ...things(
      byName(before.templating.list),
      byName(after.templating.list),
      ({ name }) => `Variable $${name}`,
    ),
    ...things(
      byName(before.annotations.list),
      byName(after.annotations.list),
      ({ name }) => `Annotations "${name}"`,
    ),
    ...things(
      byPlace(before.links),
      byPlace(after.links),
      ({ title }) => `Link "${title || 'without a title'}"`,
    ),
  ];
}

export const countOf = (changed: ChangedThing[]): number =>
  changed.reduce((sum, { changes }) => sum + Math.max(1, changes.length), 0);

const strip = (dashboard: DashboardJson) =>
  Object.fromEntries(Object.entries(dashboard).filter(([name]) => !OWN.has(name)));

function panelsById({ panels }: DashboardJson): Map<unknown, PanelJson> {
  return new Map(
    [...allPanels(panels)].map((panel) => {
      const { panels: _inner, pluginVersion: _version, ...rest } = panel;
      return [panel.id, rest as PanelJson];
    }),
  );
}

const panelTitle = ({ type, title, id }: PanelJson) =>
  `${type === 'row' ? 'Row' : 'Panel'} ${title ? `"${title}"` : `number ${id}`}`;
const byName = <T extends { name: string }>(list: T[]) =>
  new Map<unknown, T>(list.map((each) => [each.name, each]));
const byPlace = <T>(list: T[]) => new Map<unknown, T>(list.map((each, index) => [index, each]));

function things<T>(
  before: Map<unknown, T>,
  after: Map<unknown, T>,
  title: (thing: T) => string,
): ChangedThing[] {
  const found: ChangedThing[] = [];
  for (const [key, thing] of after) {
    const old = before.get(key);
    if (old === undefined) found.push({ title: title(thing), kind: 'added', changes: [] });
    else if (!isSame(old, thing))
      found.push({ title: title(thing), kind: 'changed', changes: leaves(old, thing, []) });
  }
  for (const [key, thing] of before)
    if (!after.has(key)) found.push({ title: title(thing), kind: 'removed', changes: [] });
  return found;
}

/** Says what is different at or below a place. */
function leaves(before: unknown, after: unknown, path: string[]): Change[] {
  if (isSame(before, after)) return [];
  if (path.at(-1) === 'gridPos')
    return [{ what: 'Place', kind: 'changed', before: place(before), after: place(after) }];
  if (isObject(before) && isObject(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return keys.flatMap((key) => leaves(before[key], after[key], [...path, key]));
  }
  if (isListOfObjects(before) && isListOfObjects(after)) return members(before, after, path);
  const what = words(path);
  if (before === undefined) return [{ what, kind: 'added', after }];
  if (after === undefined) return [{ what, kind: 'removed', before }];
  return [{ what, kind: 'changed', before, after }];
}

type Loose = Record<string, unknown>;

const isListOfObjects = (value: unknown): value is Loose[] => Array.isArray(value) && value.every(isObject);

/** Members of a list are known by what names them, or else by where they stand. */
function members(before: Loose[], after: Loose[], path: string[]): Change[] {
  const key = (member: Loose, index: number) => String(member.refId ?? index + 1);
  const old = new Map(before.map((member, index) => [key(member, index), member]));
  const current = new Map(after.map((member, index) => [key(member, index), member]));
  const changes = [...new Set([...old.keys(), ...current.keys()])].flatMap((name) =>
    leaves(old.get(name), current.get(name), [...path, name]),
  );
  if (changes.length) return changes;
  return [
    {
      what: `Order of ${words(path).toLowerCase()}`,
      kind: 'changed',
      before: [...old.keys()].join(', '),
      after: [...current.keys()].join(', '),
    },
  ];
}

function place(value: unknown): string {
  const { x = 0, y = 0, w = 0, h = 0 } = (value ?? {}) as Record<string, number>;
  return `column ${x}, line ${y}, ${w} wide, ${h} high`;
}

/** Where things lie that need no saying. */
const SILENT = new Set(['fieldConfig', 'defaults', 'custom', 'options', 'spec']);
const NAMES: Record<string, string> = {
  targets: 'query',
  transformations: 'transformation',
  overrides: 'override',
  expr: 'expression',
  maxDataPoints: 'most points',
};

function words(path: string[]): string {
  const said = path.filter((part) => !SILENT.has(part));
  const list = (said.length ? said : path).map(
    (part) => NAMES[part] ?? part.replace(/([a-z0-9])([A-Z])/g, '$1 $2').toLowerCase(),
  );
  // The name of a member goes with that of its list.
  const joined = list.reduce<string[]>((all, part, index) => {
    const isMember = index > 0 && /^([A-Z]{1,2}|\d+)$/.test(said[index] ?? '');
    if (isMember) return [...all.slice(0, -1), `${all.at(-1)} ${said[index]}`];
    return [...all, part];
  }, []);
  const text = joined.join(' › ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}
