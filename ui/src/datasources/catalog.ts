/** Which data sources there are: this server's own, and others that it asks for the browser. */
import type { KeptSource } from '~/api/sources';
import { PluginType, type DataSourceInstanceSettings, type DataSourcePluginMeta } from '@grafana/data';

export const OWN_METRICS = 'bartizan-metrics';
export const OWN_LOGS = 'bartizan-logs';
export const OWN_ALERTS = 'bartizan-alerts';
export const MIXED = '-- Mixed --';
export const DASHBOARD = '-- Dashboard --';
/** Those that stand for others, and are not chosen from a list. */
export const VIRTUAL = [MIXED, DASHBOARD];

interface Described {
  uid: string;
  name: string;
  type: string;
  /** The path of the server below which its API lies. */
  url: string;
  isDefault?: boolean;
  /** How it is asked, such as its scrape interval. */
  jsonData?: Record<string, unknown>;
  capabilities: Partial<
    Pick<DataSourcePluginMeta, 'metrics' | 'logs' | 'alerting' | 'annotations' | 'mixed'>
  >;
}

const OWN: Described[] = [
  {
    uid: OWN_METRICS,
    name: 'Metrics',
    type: 'prometheus',
    url: '',
    isDefault: true,
    capabilities: { metrics: true, alerting: true, annotations: true },
  },
  { uid: OWN_LOGS, name: 'Logs', type: 'loki', url: '', capabilities: { metrics: true, logs: true } },
  { uid: OWN_ALERTS, name: 'Alerts', type: 'alertmanager', url: '', capabilities: { alerting: true } },
  { uid: MIXED, name: MIXED, type: 'mixed', url: '', capabilities: { metrics: true, mixed: true } },
  { uid: DASHBOARD, name: DASHBOARD, type: 'datasource', url: '', capabilities: { metrics: true } },
];

/** Filled when the program starts. */
export const catalog: DataSourceInstanceSettings[] = OWN.map(settings);

/** What names this server's own logs. */
export const ownLogsUid = () => catalog.find(({ type, url }) => type === 'loki' && !url)?.uid ?? OWN_LOGS;

/** What each kind can do. */
const CAPABILITIES: Record<KeptSource['kind'], Described['capabilities']> = {
  prometheus: { metrics: true, alerting: true, annotations: true },
  loki: { metrics: true, logs: true },
  alertmanager: { alerting: true },
};

/**
 * Adds the sources that the server keeps to those that are always there. One that is this server itself, by another name, stands in the
 * place of its own. The default of each kind comes first: it is asked where a dashboard names a source that is not here.
 */
export function takeSources(kept: KeptSource[]): void {
  const described = kept.map(({ uid, name, kind, url, settings: jsonData = {} }) => ({
    uid,
    name,
    type: kind,
    // Other servers are asked through this one.
    url: url ? `/api/ui/proxy/${encodeURIComponent(uid)}` : '',
    jsonData,
    capabilities: CAPABILITIES[kind],
  }));
  const own = OWN.filter(
    ({ uid, type }) => VIRTUAL.includes(uid) || !kept.some(({ kind, url }) => kind === type && !url),
  );
  const chosen = new Set(kept.filter(({ isDefault }) => isDefault).map(({ uid }) => uid));
  const all: Described[] = [
    ...described.filter(({ uid }) => chosen.has(uid)),
    ...own.filter(({ uid }) => !VIRTUAL.includes(uid)),
    ...described.filter(({ uid }) => !chosen.has(uid)),
  ];
  const first = all.find(({ type }) => type === 'prometheus');
  const virtual = OWN.filter(({ uid }) => VIRTUAL.includes(uid));
  const complete = [...all.map((each) => ({ ...each, isDefault: each === first })), ...virtual];
  catalog.splice(0, catalog.length, ...complete.map(settings));
}

function settings(
  { uid, name, type, url, isDefault, jsonData = {}, capabilities }: Described,
  id: number,
): DataSourceInstanceSettings {
  const meta = {
    id: type,
    name,
    type: PluginType.datasource,
    module: '',
    baseUrl: '',
    info: {
      author: { name: '' },
      description: '',
      links: [],
      logos: { large: '', small: '' },
      screenshots: [],
      updated: '',
      version: '',
    },
    ...capabilities,
  } as DataSourcePluginMeta;
  return {
    id,
    uid,
    name,
    type,
    url,
    meta,
    readOnly: true,
    access: 'proxy',
    jsonData,
    isDefault: isDefault ?? false,
  };
}
