import {
  DataSourceApi,
  FieldType,
  LoadingState,
  type DataQuery,
  type DataQueryRequest,
  type DataQueryResponse,
  type DataSourceInstanceSettings,
  type TestDataSourceResponse,
} from '@grafana/data';
import { AlertmanagerClient } from '~/api/alertmanager';

interface AlertQuery extends DataQuery {
  /** Matchers, such as `severity="page"`, separated by commas. */
  expr?: string;
}

/** The alerts an Alertmanager knows, as a table. */
export class AlertsDatasource extends DataSourceApi<AlertQuery> {
  readonly client: AlertmanagerClient;

  constructor(settings: DataSourceInstanceSettings) {
    super(settings);
    this.client = new AlertmanagerClient(settings.url ?? '');
  }

  async query({ targets }: DataQueryRequest<AlertQuery>): Promise<DataQueryResponse> {
    const filters = targets.flatMap(({ expr }) => (expr ? expr.split(/,(?=\w)/) : []));
    const alerts = await this.client.alerts(filters);
    const names = [...new Set(alerts.flatMap(({ labels }) => Object.keys(labels)))].sort();
    const text = (name: string, values: string[]) => ({ name, type: FieldType.string, config: {}, values });
    const frame = {
      refId: targets[0]?.refId ?? 'A',
      fields: [
        {
          name: 'Since',
          type: FieldType.time,
          config: {},
          values: alerts.map(({ startsAt }) => Date.parse(startsAt)),
        },
        text(
          'State',
          alerts.map(({ status }) => status.state),
        ),
        ...names.map((name) =>
          text(
            name,
            alerts.map(({ labels }) => labels[name] ?? ''),
          ),
        ),
      ],
      length: alerts.length,
    };
    return { data: [frame], state: LoadingState.Done };
  }

  async testDatasource(): Promise<TestDataSourceResponse> {
    await this.client.silences();
    return { status: 'success', message: 'The server answers.' };
  }
}
