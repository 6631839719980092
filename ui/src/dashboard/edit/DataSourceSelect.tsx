import { getDataSourceSrv } from '@grafana/runtime';
import { Combobox } from '@grafana/ui';
import { MIXED, catalog } from '~/datasources/catalog';
import type { DashboardScene } from '../DashboardScene';
import type { Reference } from '../model';

interface Props {
  scene: DashboardScene;
  value: Reference;
  onChange: (reference: Reference) => void;
  /** Whether queries of one panel may go to several. */
  mixed?: boolean;
  width?: number;
}

/** Chooses a data source: one by name, one that a variable stands for, or the default one. */
export function DataSourceSelect({ scene, value, onChange, mixed = false, width = 40 }: Props) {
  const variables = scene.state.dashboard.templating.list.filter(({ type }) => type === 'datasource');
  const options = [
    { value: '', label: `default (${getDataSourceSrv().getInstanceSettings(null)?.name ?? 'none'})` },
    ...variables.map(({ name, query }) => ({
      value: `\${${name}}`,
      label: `\${${name}}`,
      description: `Variable, ${String(query)}`,
    })),
    ...catalog
      .filter(({ uid }) => uid !== MIXED || mixed)
      .map(({ uid, name, type }) => ({
        value: uid,
        label: name,
        description: type === 'mixed' ? 'A source for each query' : type,
      })),
  ];
  const uid = uidOf(value);
  const written = uid.replace(/^\$(\w+)$/, '${$1}');
  // A dashboard may name a source that is not here.
  const known = options.some((option) => option.value === written)
    ? options
    : [...options, { value: written, label: written }];
  return (
    <Combobox
      aria-label="Data source"
      width={width}
      options={known}
      value={written}
      onChange={({ value: chosen }) => onChange(referenceTo(chosen, variables))}
    />
  );
}

/** A reference may say only of what kind the source is: the first one there is. */
function uidOf(value: Reference): string {
  if (typeof value === 'string') return value;
  return value?.uid ?? catalog.find(({ type }) => type === value?.type)?.uid ?? '';
}

function referenceTo(uid: string, variables: { name: string; query?: unknown }[]): Reference {
  if (!uid) return undefined;
  const variable = variables.find(({ name }) => uid === `\${${name}}`);
  const type = variable ? String(variable.query ?? '') : catalog.find((source) => source.uid === uid)?.type;
  if (uid === MIXED) return { type: 'datasource', uid };
  return type ? { type, uid } : { uid };
}
