/** Variables of a dashboard as scenes have them. */
import {
  AdHocFiltersVariable,
  ConstantVariable,
  CustomVariable,
  DataSourceVariable,
  GroupByVariable,
  IntervalVariable,
  QueryVariable,
  SceneVariableSet,
  SwitchVariable,
  TextBoxVariable,
  type SceneVariable,
  type VariableValue,
} from '@grafana/scenes';
import type { DataSourceRef } from '@grafana/data';
import type { Reference, VariableJson } from './model';

const ALL = '$__all';

export function sceneVariables(list: VariableJson[]): SceneVariableSet {
  return new SceneVariableSet({ variables: list.map(sceneVariable).filter((made) => made !== undefined) });
}

export function sceneVariable(json: VariableJson): SceneVariable | undefined {
  switch (json.type) {
    case 'query':
      return queryVariable(json);
    case 'custom':
      return new CustomVariable({
        ...several(json),
        query: String(json.query ?? ''),
        ...(json.valuesFormat === 'json' ? { valuesFormat: 'json' as const } : {}),
      });
    case 'datasource':
      return new DataSourceVariable({
        ...several(json),
        pluginId: String(json.query ?? ''),
        regex: json.regex ?? '',
      });
    case 'interval':
      return intervalVariable(json);
    case 'constant':
      return new ConstantVariable({
        ...common(json),
        value: String(json.query ?? json.current?.value ?? ''),
      });
    case 'textbox':
      return new TextBoxVariable({ ...common(json), value: String(json.current?.value ?? json.query ?? '') });
    case 'adhoc':
      return adHocVariable(json);
    case 'groupby':
      return new GroupByVariable({
        ...common(json),
        datasource: reference(json.datasource),
        value: valueOf(json),
        text: textOf(json),
      });
    case 'switch':
      return new SwitchVariable({ ...common(json), value: String(json.current?.value ?? 'false') });
    default:
      return undefined;
  }
}

function common({ name, label, hide, skipUrlSync, description }: VariableJson) {
  return {
    name,
    ...(label ? { label } : {}),
    ...(description ? { description } : {}),
    hide: hide ?? 0,
    skipUrlSync: skipUrlSync ?? false,
  };
}

/** What variables with options have in common. */
function several(json: VariableJson) {
  return {
    ...common(json),
    value: valueOf(json),
    text: textOf(json),
    isMulti: json.multi ?? false,
    includeAll: json.includeAll ?? false,
    // Without a choice that was saved, a variable that has "All" begins with it.
    defaultToAll: Boolean(json.includeAll) && json.current?.value === undefined,
    ...(json.allValue ? { allValue: json.allValue } : {}),
    allowCustomValue: json.allowCustomValue ?? true,
  };
}

function valueOf({ current, multi }: VariableJson): VariableValue {
  const value = current?.value;
  if (Array.isArray(value)) return multi ? value.map(String) : String(value[0] ?? '');
  if (value === undefined || value === null) return multi ? [] : '';
  return multi && value !== '' ? [String(value)] : String(value);
}

function textOf(json: VariableJson): VariableValue {
  const text = json.current?.text;
  if (text === undefined || text === null) return valueOf(json);
  if (Array.isArray(text)) return json.multi ? text.map(String) : text.map(String).join(' + ');
  return json.multi ? [String(text)] : String(text);
}

export function reference(stored: Reference): DataSourceRef | null {
  if (typeof stored === 'string') return { uid: stored };
  return stored ?? null;
}

function queryVariable(json: VariableJson): QueryVariable {
  return new QueryVariable({
    ...several(json),
    query: (json.query ?? '') as string,
    datasource: reference(json.datasource),
    regex: json.regex ?? '',
    // Those that are never refreshed were filled by a server that kept their options; here they are asked for.
    refresh: (json.refresh === 2 ? 2 : 1) as never,
    sort: (json.sort ?? 0) as never,
    ...(json.definition ? { definition: json.definition } : {}),
  });
}

function intervalVariable(json: VariableJson): IntervalVariable {
  const text = String(json.query ?? '');
  const intervals = (text.match(/"[^"]*"|[^,]+/g) ?? [])
    .map((part) => part.replace(/"/g, '').trim())
    .filter((part) => part && part !== 'auto');
  const chosen = String(json.current?.value ?? '');
  // An automatic choice is kept under a name with the variable's in it.
  const isAuto = chosen.startsWith('$__auto_interval') || chosen === '$__auto';
  return new IntervalVariable({
    ...common(json),
    intervals,
    value: isAuto ? '$__auto' : chosen || (intervals[0] ?? ''),
    autoEnabled: json.auto ?? false,
    autoMinInterval: json.auto_min ?? '10s',
    autoStepCount: json.auto_count ?? 30,
    refresh: (json.refresh ?? 2) as never,
  });
}

function adHocVariable(json: VariableJson): AdHocFiltersVariable {
  const layout = { layout: 'combobox' as const };
  return new AdHocFiltersVariable({
    ...common(json),
    datasource: reference(json.datasource),
    filters: json.filters ?? [],
    baseFilters: json.baseFilters ?? [],
    applyMode: 'auto',
    useQueriesAsFilterForOptions: true,
    supportsMultiValueOperators: true,
    ...layout,
  });
}

export { ALL };
