/** Which data sources there are: this server's own; others come with the back end that proxies to them. */
import type { KeptSource } from '~/api/sources';
import { PluginType, type DataSourceInstanceSettings, type DataSourcePluginMeta } from '@grafana/data';

export const OWN_METRICS = 'bartizan-metrics';
export const OWN_LOGS = 'bartizan-logs';
export const OWN_ALERTS = 'bartizan-alerts';
export const MIXED = '-- Mixed --';

interface Described {
  uid: string;
  name: string;
  type: string;
  /** The path of the server below which its API lies. */
  url: string;
  isDefault?: boolean;
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

/** Takes the sources the server keeps in place of those that are always there. */
export function takeSources(kept: KeptSource[]): void {
  if (!kept.length) return;
  const described = kept.map(({ uid, name, kind, url, isDefault }) => ({
    uid,
    name,
    type: kind,
    // Other servers are asked through this one.
    url: url ? `/api/ui/proxy/${encodeURIComponent(uid)}` : '',
    isDefault: isDefault && kind === 'prometheus',
    capabilities: CAPABILITIES[kind],
  }));
  const mixed = OWN.filter(({ uid }) => uid === MIXED);
  catalog.splice(0, catalog.length, ...[...described, ...mixed].map(settings));
}

function settings(
  { uid, name, type, url, isDefault, capabilities }: Described,
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
    jsonData: {},
    isDefault: isDefault ?? false,
  };
}
