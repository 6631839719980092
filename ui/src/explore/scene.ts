import {
  EmbeddedScene,
  SceneControlsSpacer,
  SceneDataTransformer,
  SceneFlexItem,
  SceneFlexLayout,
  SceneQueryRunner,
  SceneRefreshPicker,
  SceneTimePicker,
  SceneTimeRange,
  VizPanel,
  type SceneDataQuery,
} from '@grafana/scenes';
import { loadPreferences } from '~/app/preferences';
import type { LabelAction } from '~/panels/logs/Row';
import type { ExploreQuery } from './url';

export interface Source {
  uid: string;
  type: string;
}

/** What Explore shows below the queries: a scene of its own for each kind of data source. */
export interface Results {
  scene: EmbeddedScene;
  timeRange: SceneTimeRange;
  run: (queries: ExploreQuery[]) => void;
}

interface Input {
  source: Source;
  from: string;
  to: string;
  onLabel: LabelAction;
}

const GRAPH_FIELDS = { defaults: { custom: { fillOpacity: 8, showPoints: 'auto' } }, overrides: [] };
const LINES_MAX = 1000;

export function exploreResults(input: Input): Results {
  const timeRange = new SceneTimeRange({
    from: input.from,
    to: input.to,
    timeZone: loadPreferences().timeZone,
  });
  return input.source.type === 'loki' ? logResults(input, timeRange) : metricResults(input, timeRange);
}

const controls = () => [
  new SceneControlsSpacer(),
  new SceneTimePicker({ isOnCanvas: true }),
  new SceneRefreshPicker({ refresh: '', isOnCanvas: true, withText: true }),
];

const runner = (source: Source, maxDataPoints?: number) =>
  new SceneQueryRunner({
    datasource: source,
    queries: [],
    runQueriesMode: 'auto',
    ...(maxDataPoints ? { maxDataPoints } : { maxDataPointsFromWidth: true }),
  });

function asked(target: SceneQueryRunner, queries: SceneDataQuery[]): void {
  target.setState({ queries });
  target.runQueries();
}

function metricResults({ source }: Input, timeRange: SceneTimeRange): Results {
  const graph = runner(source);
  const table = runner(source);
  const scene = new EmbeddedScene({
    $timeRange: timeRange,
    controls: controls(),
    body: new SceneFlexLayout({
      direction: 'column',
      children: [
        new SceneFlexItem({
          minHeight: 360,
          body: new VizPanel({
            pluginId: 'timeseries',
            title: 'Graph',
            $data: graph,
            fieldConfig: GRAPH_FIELDS as never,
            options: {
              tooltip: { mode: 'multi', sort: 'desc' },
              legend: { displayMode: 'table', placement: 'bottom', calcs: ['lastNotNull', 'max'] },
            },
          }),
        }),
        new SceneFlexItem({
          minHeight: 300,
          body: new VizPanel({
            pluginId: 'table',
            title: 'Table',
            $data: new SceneDataTransformer({
              $data: table,
              transformations: [{ id: 'merge', options: {} }],
            }),
          }),
        }),
      ],
    }),
  });
  return {
    scene,
    timeRange,
    run(queries) {
      asked(
        graph,
        queries.map((query) => ({
          ...query,
          range: true,
          instant: false,
          exemplar: true,
          legendFormat: query.legendFormat ?? '__auto',
        })),
      );
      asked(
        table,
        queries.map((query) => ({ ...query, range: false, instant: true, format: 'table' })),
      );
    },
  };
}

function logResults({ source, onLabel }: Input, timeRange: SceneTimeRange): Results {
  const lines = runner(source, LINES_MAX);
  const volume = runner(source, 100);
  const bars = {
    custom: { drawStyle: 'bars', fillOpacity: 100, lineWidth: 0, stacking: { mode: 'normal', group: 'A' } },
  };
  const level = (name: string, fixedColor: string) => ({
    matcher: { id: 'byName', options: name },
    properties: [{ id: 'color', value: { mode: 'fixed', fixedColor } }],
  });
  const overrides = [
    level('error', 'red'),
    level('warn', 'orange'),
    level('info', 'green'),
    level('debug', 'blue'),
    level('critical', 'purple'),
    level('unknown', '#8e8e8e'),
  ];
  const scene = new EmbeddedScene({
    $timeRange: timeRange,
    controls: controls(),
    body: new SceneFlexLayout({
      direction: 'column',
      children: [
        new SceneFlexItem({
          height: 200,
          ySizing: 'content',
          body: new VizPanel({
            pluginId: 'timeseries',
            title: 'Volume',
            $data: volume,
            fieldConfig: { defaults: bars, overrides } as never,
            options: { tooltip: { mode: 'multi' } },
          }),
        }),
        new SceneFlexItem({
          minHeight: 500,
          body: new VizPanel({
            pluginId: 'logs',
            title: 'Lines',
            $data: lines,
            options: { showTime: true, wrapLogMessage: true, onLabel } as never,
          }),
        }),
      ],
    }),
  });
  return {
    scene,
    timeRange,
    run(queries) {
      const isMetric = queries.some(({ expr }) => isMetricQuery(expr));
      asked(
        lines,
        queries.map((query) => ({ ...query, maxLines: LINES_MAX })),
      );
      asked(
        volume,
        queries.map(({ refId, expr }) => ({
          refId,
          expr: isMetric ? expr : volumeOf(expr),
          legendFormat: isMetric ? '' : '{{detected_level}}',
        })),
      );
    },
  };
}

const isMetricQuery = (expr: string) => !/^\s*\{/.test(expr);
const volumeOf = (expr: string) =>
  expr.trim() ? `sum by (detected_level) (count_over_time(${expr} [$__auto]))` : '';

/** A log query with a label's value asked for, or left out. */
export function withLabel(expr: string, name: string, value: string, operator: '=' | '!='): string {
  const matcher = `${name}${operator}${JSON.stringify(value)}`;
  const selector = /^\s*\{([^}]*)\}/.exec(expr);
  if (!selector) return `{${matcher}}`;
  const inside = (selector[1] ?? '').trim();
  const rest = expr.slice(selector[0].length);
  if (!inside) return `{${matcher}}${rest}`;
  // What is not a label of the stream is found only behind the selector.
  return `{${inside}}${rest} | ${matcher}`;
}
