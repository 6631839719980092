import { Badge } from '@grafana/ui';
import { useState } from 'react';
import { variableText } from '~/datasources/prometheus/variables';
import type { VariableJson } from '../../model';
import { moved, removedAt, replacedAt } from '../json';
import type { PartProps } from './SettingsPage';
import { ThingList } from './ThingList';
import { VariableForm } from './VariableForm';

/** The variables of a dashboard, in the order in which they are shown and found out. */
export function Variables({ scene, dashboard, onChange }: PartProps) {
  const [open, setOpen] = useState<number>();
  const { list } = dashboard.templating;
  const set = (next: VariableJson[]) =>
    onChange({ ...dashboard, templating: { ...dashboard.templating, list: next } });
  const current = open === undefined ? undefined : list[open];
  if (current && open !== undefined) {
    return (
      <VariableForm
        scene={scene}
        variable={current}
        others={removedAt(list, open)}
        onChange={(next) => set(replacedAt(list, open, next))}
        onClose={() => setOpen(undefined)}
      />
    );
  }
  const text = JSON.stringify({ ...dashboard, templating: undefined });
  return (
    <ThingList
      what="variable"
      about="Variables stand for values that whoever looks at the dashboard chooses: a job, a host, an interval."
      things={list.map((variable) => ({
        name: variable.name,
        detail: definitionOf(variable),
        badge: isUsed(variable.name, text, list) ? undefined : (
          <Badge text="not used" color="orange" tooltip="No panel, link or other variable names it" />
        ),
      }))}
      onAdd={() => {
        set([...list, newVariable(list)]);
        setOpen(list.length);
      }}
      onOpen={setOpen}
      onMove={(from, to) => set(moved(list, from, to))}
      onDuplicate={(at) => {
        const source = list[at];
        if (source) set([...list, { ...source, name: freeName(`copy_of_${source.name}`, list) }]);
      }}
      onRemove={(at) => set(removedAt(list, at))}
    />
  );
}

function newVariable(list: VariableJson[]): VariableJson {
  return {
    type: 'query',
    name: freeName('query0', list),
    query: '',
    refresh: 1,
    sort: 0,
    regex: '',
    multi: false,
    includeAll: false,
    hide: 0,
    current: {},
    options: [],
  };
}

function freeName(wish: string, list: VariableJson[]): string {
  const taken = new Set(list.map(({ name }) => name));
  const stem = wish.replace(/\d+$/, '');
  for (let number = 0; ; number++) {
    const name = number === 0 && !taken.has(wish) ? wish : `${stem}${number}`;
    if (!taken.has(name)) return name;
  }
}

function definitionOf({ type, query, datasource }: VariableJson): string {
  if (type === 'adhoc' || type === 'groupby') {
    const uid = typeof datasource === 'string' ? datasource : datasource?.uid;
    return `${type === 'adhoc' ? 'Filters' : 'Group by'} of ${uid ?? 'the default data source'}`;
  }
  return type === 'query' ? variableText(query) : String(query ?? '');
}

/** Whether something names the variable: `$name`, `${name}` or `[[name]]`; filters apply without being named. */
function isUsed(name: string, text: string, list: VariableJson[]): boolean {
  const own = list.find((each) => each.name === name);
  if (own?.type === 'adhoc' || own?.type === 'groupby') return true;
  const escaped = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const use = new RegExp(
    `\\$${escaped}\\b|\\$\\{${escaped}[:.}]|\\[\\[${escaped}[:\\]]|"repeat":"${escaped}"`,
  );
  return use.test(text) || list.some((each) => each !== own && use.test(JSON.stringify(each)));
}
