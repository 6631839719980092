/** Which options a panel has, and how each is edited. */
import type { PanelPlugin } from '@grafana/data';
import type { Descriptor } from '~/panels/editing/descriptor';
import { PANEL_EDITING } from '~/panels/editors';
import { getIn } from '../json';

const STANDARD = 'Standard options';

/** Options of fields that all panels share, by the id that the registry knows them by. */
export const STANDARD_FIELDS: Descriptor[] = [
  { path: 'unit', name: 'Unit', category: STANDARD, kind: 'unit' },
  { path: 'min', name: 'Min', category: STANDARD, kind: 'number', placeholder: 'auto' },
  { path: 'max', name: 'Max', category: STANDARD, kind: 'number', placeholder: 'auto' },
  { path: 'fieldMinMax', name: 'Min and max of each field', category: STANDARD, kind: 'boolean' },
  {
    path: 'decimals',
    name: 'Decimals',
    category: STANDARD,
    kind: 'number',
    placeholder: 'auto',
    min: 0,
    max: 15,
  },
  { path: 'displayName', name: 'Display name', category: STANDARD, kind: 'text', placeholder: 'none' },
  { path: 'color', name: 'Color scheme', category: STANDARD, kind: 'colorMode' },
  { path: 'noValue', name: 'No value', category: STANDARD, kind: 'text', placeholder: '-' },
  { path: 'description', name: 'Description of the field', category: STANDARD, kind: 'text' },
  { path: 'filterable', name: 'Filters by values', category: STANDARD, kind: 'boolean' },
  { path: 'thresholds', name: 'Thresholds', category: 'Thresholds', kind: 'thresholds' },
  { path: 'mappings', name: 'Value mappings', category: 'Value mappings', kind: 'mappings' },
  { path: 'links', name: 'Data links', category: 'Data links', kind: 'links' },
  { path: 'actions', name: 'Actions', category: 'Data links', kind: 'json' },
];

/** What a panel's own options are; those that nothing is said of are edited as JSON. */
export function panelOptions(plugin: PanelPlugin): Descriptor[] {
  const known = PANEL_EDITING[plugin.meta.id]?.options ?? [];
  const roots = new Set(known.map(({ path }) => path.split('.')[0]));
  const others = Object.keys((plugin.defaults ?? {}) as object).filter((name) => !roots.has(name));
  return [
    ...known,
    ...others.map((path): Descriptor => ({ path, name: path, category: 'Other', kind: 'json' })),
  ];
}

/** What fields can be given in a panel, by the paths in which they are kept. */
export function fieldOptions(plugin: PanelPlugin): Descriptor[] {
  const own = (PANEL_EDITING[plugin.meta.id]?.fields ?? []).map(below);
  const described = [...own, ...STANDARD_FIELDS];
  const registry = plugin.fieldConfigRegistry;
  const knows = (path: string) => registry.list().some(({ id }) => path === id || path.startsWith(`${id}.`));
  const isDescribed = (id: string) => described.some(({ path }) => path === id || path.startsWith(`${id}.`));
  const others = registry.list().filter(({ id }) => !isDescribed(id));
  return [
    ...described.filter(({ path }) => knows(path)),
    ...others.map(({ id }): Descriptor => ({
      path: id,
      name: id.replace('custom.', ''),
      category: 'Other',
      kind: 'json',
    })),
  ];
}

function below(option: Descriptor): Descriptor {
  const { shown } = option;
  return {
    ...option,
    path: `custom.${option.path}`,
    ...(shown ? { shown: (config) => shown((config.custom ?? {}) as Record<string, unknown>) } : {}),
  };
}

/** What a field option is where nothing is said. */
export function fieldDefault(plugin: PanelPlugin, path: string): unknown {
  for (const { id, defaultValue } of plugin.fieldConfigRegistry.list()) {
    if (path === id) return defaultValue;
    if (path.startsWith(`${id}.`)) return getIn(defaultValue, path.slice(id.length + 1));
  }
  return undefined;
}
