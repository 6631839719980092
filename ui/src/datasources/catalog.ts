/** Which data sources there are: this server's own; others come with the back end that proxies to them. */
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

export const catalog: DataSourceInstanceSettings[] = OWN.map(settings);

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
