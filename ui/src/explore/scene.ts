import { DashboardCursorSync, rangeUtil, type CustomTransformOperator, type DataFrame } from '@grafana/data';
import {
  SceneDataTransformer,
  SceneObjectBase,
  SceneQueryRunner,
  SceneRefreshPicker,
  SceneTimePicker,
  SceneTimeRange,
  VizPanel,
  behaviors,
  type SceneDataQuery,
  type SceneObjectState,
} from '@grafana/scenes';
import { map } from 'rxjs';
import { loadPreferences } from '~/app/preferences';
import { isMetricQuery, volumeOf } from './logs/query';
import { logsLink } from './jump';
import type { ExploreQuery } from './url';
import type { View } from './view';

export interface Source {
  uid: string;
  type: string;
  url: string;
}

export interface PaneSceneState extends SceneObjectState {
  $timeRange: SceneTimeRange;
  timePicker: SceneTimePicker;
  refreshPicker: SceneRefreshPicker;
  /** Series over time. */
  graph: VizPanel;
  /** The same at the end of the time. */
  table: SceneQueryRunner;
  /** How many lines there are over time, by their level. */
  volume: VizPanel;
  lines: SceneQueryRunner;
  /** Draws every series, however many there are. */
  drawsAll?: boolean;
}

/** More lines than these nobody tells apart, and drawing thousands takes long: they are drawn when asked for. */
export const SERIES_DRAWN = 50;

const firstSeries: CustomTransformOperator = () => (source) =>
  source.pipe(map((frames) => frames.slice(0, SERIES_DRAWN)));

/** Bars of the volume: more would be too thin to be told apart. */
const VOLUME_BARS = 110;

/** A half of Explore: what it asks, for which time. Only what is shown is asked for. */
export class PaneScene extends SceneObjectBase<PaneSceneState> {
  readonly #source: Source;

  constructor(source: Source, { from, to }: { from: string; to: string }, view: View) {
    const { uid, type } = source;
    const datasource = { uid, type };
    super({
      $timeRange: new SceneTimeRange({ from, to, timeZone: loadPreferences().timeZone }),
      $behaviors: [new behaviors.CursorSync({ sync: DashboardCursorSync.Crosshair })],
      timePicker: new SceneTimePicker({ isOnCanvas: true }),
      refreshPicker: new SceneRefreshPicker({ refresh: '', isOnCanvas: true, withText: true }),
      graph: new VizPanel({
        pluginId: 'timeseries',
        title: '',
        hoverHeader: true,
        $data: new SceneDataTransformer({
          $data: new SceneQueryRunner({ datasource, queries: [], maxDataPointsFromWidth: true }),
          transformations: [firstSeries],
        }),
        fieldConfig: graphFields(view.style) as never,
        options: {
          tooltip: { mode: 'multi', sort: 'desc' },
          legend: { displayMode: 'table', placement: 'bottom', calcs: ['lastNotNull', 'max', 'mean'] },
        },
      }),
      table: new SceneQueryRunner({ datasource, queries: [], maxDataPoints: 1 }),
      volume: new VizPanel({
        pluginId: 'timeseries',
        title: '',
        hoverHeader: true,
        $data: new SceneQueryRunner({ datasource, queries: [], maxDataPoints: VOLUME_BARS }),
        fieldConfig: VOLUME_FIELDS as never,
        options: { tooltip: { mode: 'multi' }, legend: { displayMode: 'list', placement: 'bottom' } },
      }),
      lines: new SceneQueryRunner({ datasource, queries: [], maxDataPoints: 1 }),
    });
    this.#source = source;
  }

  get source(): Source {
    return this.#source;
  }

  /** Draws every series of what was found, or only the first. */
  drawAll(drawsAll: boolean): void {
    if (Boolean(this.state.drawsAll) === drawsAll) return;
    this.setState({ drawsAll });
    const data = this.state.graph.state.$data;
    if (!(data instanceof SceneDataTransformer)) return;
    data.setState({ transformations: drawsAll ? [] : [firstSeries] });
    data.reprocessTransformations();
  }

  /** Asks anew, in place of what was asked before. */
  run(queries: ExploreQuery[], view: View): void {
    this.drawAll(false);
    const asked = queries.filter(({ expr, hide }) => expr.trim() && !hide);
    const isLogs = this.#source.type === 'loki';
    const series = asked.filter(({ expr }) => !isLogs || isMetricQuery(expr));
    const logs = asked.filter((query) => !series.includes(query));
    ask(
      runnerOf(this.state.graph),
      series.map((query) => ({
        ...query,
        range: true,
        instant: false,
        exemplar: view.exemplars && !isLogs,
        stats: true,
      })),
    );
    ask(
      this.state.table,
      series.map((query) => ({ ...query, range: false, instant: true, format: 'time_series', stats: true })),
    );
    ask(
      this.state.lines,
      logs.map((query) => ({ ...query, maxLines: view.limit })),
    );
    ask(
      runnerOf(this.state.volume),
      logs.map(({ refId, expr }) => ({
        refId,
        expr: volumeOf(expr),
        legendFormat: '{{detected_level}}',
      })),
    );
  }

  setStyle(style: View['style']): void {
    const { graph } = this.state;
    const fieldConfig = graphFields(style) as never;
    // Before its kind of panel is there, nothing is drawn that would have to change.
    if (graph.getPlugin()) graph.onFieldConfigChange(fieldConfig, true);
    else graph.setState({ fieldConfig });
  }

  /** Shows another time, unless it is shown already. */
  showTime(from: string, to: string): void {
    const { state } = this.state.$timeRange;
    if (state.from === from && state.to === to) return;
    this.state.$timeRange.onTimeRangeChange(
      rangeUtil.convertRawToRange({ from, to }, this.state.$timeRange.getTimeZone()),
    );
  }

  /** The time shown, in milliseconds since the epoch. */
  range(): { startMs: number; endMs: number } {
    const { value } = this.state.$timeRange.state;
    return { startMs: value.from.valueOf(), endMs: value.to.valueOf() };
  }
}

export function runnerOf(panel: VizPanel): SceneQueryRunner {
  const data = panel.state.$data;
  return (data instanceof SceneDataTransformer ? data.state.$data : data) as SceneQueryRunner;
}

function ask(runner: SceneQueryRunner, queries: SceneDataQuery[]): void {
  // What is not shown asks when it is: it must not take what was found before for an answer.
  if (!runner.isActive || !queries.length) runner.setState({ queries, data: undefined });
  else {
    runner.setState({ queries });
    runner.runQueries();
  }
}

const STYLES: Record<View['style'], Record<string, unknown>> = {
  // Without areas below them: those of many series add up to one smear, and take longer to paint than the lines.
  lines: { drawStyle: 'line', lineWidth: 1, fillOpacity: 0, showPoints: 'auto' },
  bars: { drawStyle: 'bars', lineWidth: 0, fillOpacity: 80 },
  points: { drawStyle: 'points', pointSize: 4 },
  stacked: { drawStyle: 'line', fillOpacity: 40, stacking: { mode: 'normal', group: 'A' } },
};

function graphFields(style: View['style']) {
  const custom = STYLES[style];
  return { defaults: { custom, links: [logsLink], color: { mode: 'palette-classic' } }, overrides: [] };
}

const level = (name: string, fixedColor: string) => ({
  matcher: { id: 'byName', options: name },
  properties: [{ id: 'color', value: { mode: 'fixed', fixedColor } }],
});

const VOLUME_FIELDS = {
  defaults: {
    custom: { drawStyle: 'bars', fillOpacity: 90, lineWidth: 0, stacking: { mode: 'normal', group: 'A' } },
    decimals: 0,
  },
  overrides: [
    level('critical', 'purple'),
    level('error', 'red'),
    level('warn', 'orange'),
    level('info', 'green'),
    level('debug', 'blue'),
    level('trace', 'light-blue'),
    level('unknown', '#8e8e8e'),
  ],
};

/** What frames say they cost. */
export const costs = <Cost>(frames: DataFrame[] | undefined, key: string): Cost[] =>
  (frames ?? []).flatMap(({ meta }) => (meta?.custom?.[key] as Cost | undefined) ?? []);
