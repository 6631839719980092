/** Finds the data source that a dashboard names by uid, name, type, variable, or not at all. */
import type { DataSourceApi, DataSourceInstanceSettings, DataSourceRef, ScopedVars } from '@grafana/data';
import { getTemplateSrv, type DataSourceSrv, type GetDataSourceListFilters } from '@grafana/runtime';
import { AlertsDatasource } from './alertmanager/datasource';
import { VIRTUAL, catalog } from './catalog';
import { DashboardDatasource } from './dashboard';
import { LokiDatasource } from './loki/datasource';
import { MixedDatasource } from './mixed';
import { PrometheusDatasource } from './prometheus/datasource';

type Reference = DataSourceRef | string | null | undefined;

const instances = new Map<string, DataSourceApi>();

export const dataSources: DataSourceSrv = {
  getInstanceSettings: settings,
  getList: (filters = {}) => catalog.filter((source) => matches(source, filters)),
  async get(reference, scopedVars) {
    const found = settings(reference, scopedVars);
    if (!found) throw new Error(`There is no data source ${describe(reference)}`);
    let instance = instances.get(found.uid);
    if (!instance) {
      instance = create(found);
      instances.set(found.uid, instance);
    }
    return instance;
  },
  reload: () => Promise.resolve(),
  registerRuntimeDataSource: () => undefined,
};

function create(found: DataSourceInstanceSettings): DataSourceApi {
  const make: Record<string, new (settings: DataSourceInstanceSettings) => unknown> = {
    prometheus: PrometheusDatasource,
    loki: LokiDatasource,
    alertmanager: AlertsDatasource,
    mixed: MixedDatasource,
    datasource: DashboardDatasource,
  };
  const Source = make[found.type];
  if (!Source) throw new Error(`Data sources of type ${found.type} are not known`);
  const instance = new Source(found) as DataSourceApi;
  instance.meta = found.meta;
  return instance;
}

function settings(reference: Reference, scopedVars?: ScopedVars): DataSourceInstanceSettings | undefined {
  const named = typeof reference === 'string' ? reference : reference?.uid;
  const type = typeof reference === 'object' ? reference?.type : undefined;
  const name = named && getTemplateSrv().replace(named, scopedVars);
  if (!name || name === 'default') return ofType(type) ?? catalog.find(({ isDefault }) => isDefault);
  return (
    catalog.find(({ uid }) => uid === name) ??
    catalog.find((source) => source.name === name) ??
    // A dashboard from elsewhere names a source that is not here, or a variable that is not set: the one of its kind
    // takes its place.
    ofType(type ?? name)
  );
}

const ofType = (type: string | undefined) =>
  type === undefined
    ? undefined
    : catalog.find((source) => source.type === type && !VIRTUAL.includes(source.uid));

function describe(reference: Reference): string {
  if (typeof reference === 'string') return reference;
  return [reference?.uid, reference?.type && `of type ${reference.type}`].filter(Boolean).join(' ');
}

function matches(source: DataSourceInstanceSettings, filters: GetDataSourceListFilters): boolean {
  const { meta } = source;
  if (source.type === 'mixed' && !filters.mixed) return false;
  if (source.type === 'datasource' && !filters.dashboard) return false;
  const types = filters.type === undefined ? undefined : [filters.type].flat();
  return (
    (!filters.pluginId || source.type === filters.pluginId) &&
    (!types || types.includes(source.type)) &&
    (!filters.metrics || Boolean(meta.metrics)) &&
    (!filters.logs || Boolean(meta.logs)) &&
    (!filters.alerting || Boolean(meta.alerting)) &&
    (!filters.annotations || Boolean(meta.annotations)) &&
    (!filters.tracing || Boolean(meta.tracing)) &&
    (!filters.filter || filters.filter(source))
  );
}
