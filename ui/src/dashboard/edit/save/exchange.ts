/** Dashboards as they go from one server to another: data sources are named by what they are, not by what they are called here. */
import { catalog } from '~/datasources/catalog';
import { GRAFANA_VERSION } from '~/grafana-host/version';
import { allPanels, type DashboardJson } from '../../model';
import { isObject } from '../json';

/** Something that who imports a dashboard has to say. */
export interface ImportInput {
  name: string;
  label?: string;
  description?: string;
  type: 'datasource' | 'constant';
  pluginId?: string;
  pluginName?: string;
  value?: string;
}

const TITLES: Record<string, string> = {
  prometheus: 'Prometheus',
  loki: 'Loki',
  alertmanager: 'Alertmanager',
};

/** The dashboard for others: its data sources, and the values of its constants, are asked for when it is imported. */
export function forSharing(dashboard: DashboardJson): Record<string, unknown> {
  const inputs = new Map<string, ImportInput>();
  const { version: _version, id: _id, ...rest } = dashboard;
  const shared = walk(rest, (key, value) =>
    key === 'datasource' ? named(value, inputs) : undefined,
  ) as typeof rest;
  const list = shared.templating.list.map((variable) => {
    if (variable.type !== 'constant') return variable;
    const name = inputName('VAR', variable.name);
    inputs.set(name, {
      name,
      type: 'constant',
      label: variable.label || variable.name,
      value: String(variable.query ?? ''),
    });
    const value = `\${${name}}`;
    return { ...variable, query: value, current: { text: value, value } };
  });
  const types = new Set(
    [...allPanels(dashboard.panels)].map(({ type }) => type).filter((type) => type !== 'row'),
  );
  return {
    __inputs: [...inputs.values()],
    __elements: {},
    __requires: [
      { type: 'grafana', id: 'grafana', name: 'Grafana', version: GRAFANA_VERSION },
      ...[...new Set([...inputs.values()].map(({ pluginId }) => pluginId).filter(Boolean))].map((id) => ({
        type: 'datasource',
        id,
        name: TITLES[id ?? ''] ?? id,
        version: '',
      })),
      ...[...types].sort().map((id) => ({ type: 'panel', id, name: id, version: '' })),
    ],
    ...shared,
    templating: { ...shared.templating, list },
  };
}

const inputName = (kind: string, name: string) => `${kind}_${name.toUpperCase().replace(/[^A-Z0-9]+/g, '_')}`;

/** A reference to a data source of this server, as one to what is asked for. Variables and what is built in stay. */
function named(value: unknown, inputs: Map<string, ImportInput>): unknown {
  const uid = typeof value === 'string' ? value : isObject(value) ? value.uid : undefined;
  const source = catalog.find((each) => each.uid === uid || each.name === uid);
  if (!source || source.uid.startsWith('--')) return undefined;
  const name = inputName('DS', source.name);
  const pluginName = TITLES[source.type] ?? source.type;
  inputs.set(name, {
    name,
    label: source.name,
    description: '',
    type: 'datasource',
    pluginId: source.type,
    pluginName,
  });
  return { type: source.type, uid: `\${${name}}` };
}

/** A copy in which what `change` gives takes the place of what is there; where it gives nothing, the walk goes on. */
function walk(value: unknown, change: (key: string, value: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map((each) => walk(each, change));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, change(key, each) ?? walk(each, change)]),
  );
}

/** The dashboard as a resource, for files that are provisioned. */
export function asCode(dashboard: DashboardJson): Record<string, unknown> {
  const { uid, version: _version, id: _id, ...spec } = dashboard;
  return { apiVersion: 'dashboard.grafana.app/v1', kind: 'Dashboard', metadata: { name: uid }, spec };
}

export const inputsOf = (json: unknown): ImportInput[] =>
  isObject(json) && Array.isArray(json.__inputs) ? (json.__inputs as ImportInput[]) : [];

/** The JSON with what was said for each input in its place. */
export function fillInputs(json: unknown, values: Record<string, string>): unknown {
  const filled = replaceText(json, (text) =>
    text.replace(/\$\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole),
  );
  if (!isObject(filled)) return filled;
  const { __inputs, __requires, __elements, ...rest } = filled;
  return rest;
}

function replaceText(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((each) => replaceText(each, change));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, replaceText(each, change)]));
}
