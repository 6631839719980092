import {
  DataSourceApi,
  LoadingState,
  dateTime,
  type DataFrame,
  type DataQueryRequest,
  type DataQueryResponse,
  type DataSourceInstanceSettings,
  type LegacyMetricFindQueryOptions,
  type MetricFindValue,
  type ScopedVars,
  type TestDataSourceResponse,
} from '@grafana/data';
import { getTemplateSrv } from '@grafana/runtime';
import { Observable } from 'rxjs';
import { LokiClient, type LogData } from '~/api/loki';
import { toFrames } from '../prometheus/frames';
import { matcherFormat } from '../prometheus/interpolate';
import { durationMs, durationVariables, writeDuration } from '../prometheus/interval';
import { logFrame } from './frames';
import { LINES_DEFAULT, type LokiQuery } from './query';

/** Where the frame of lines says what they cost. */
export const LOG_COST = 'cost';

const LABEL_NAMES = /^label_names\(\)\s*$/;
const LABEL_VALUES = /^label_values\(\s*(?:(.+?)\s*,\s*)?([\w$]+)\s*\)\s*$/s;

/** A store of logs that speaks Loki's API, as dashboards use it. */
export class LokiDatasource extends DataSourceApi<LokiQuery> {
  readonly client: LokiClient;

  constructor(settings: DataSourceInstanceSettings) {
    super(settings);
    this.client = new LokiClient(settings.url ?? '');
  }

  query(request: DataQueryRequest<LokiQuery>): Observable<DataQueryResponse> {
    return new Observable((subscriber) => {
      const abort = new AbortController();
      const targets = request.targets.filter((target) => this.filterQuery(target));
      Promise.all(targets.map((target) => this.#run(target, request, abort.signal))).then(
        (frames) => {
          subscriber.next({ data: frames.flat(), state: LoadingState.Done });
          subscriber.complete();
        },
        (error: unknown) => {
          if (!abort.signal.aborted) subscriber.error(error);
        },
      );
      return () => abort.abort();
    });
  }

  override filterQuery(query: LokiQuery): boolean {
    return !query.hide && Boolean(query.expr?.trim());
  }

  async #run(
    target: LokiQuery,
    request: DataQueryRequest<LokiQuery>,
    signal: AbortSignal,
  ): Promise<DataFrame[]> {
    const { range } = request;
    const [startMs, endMs] = [range.from.valueOf(), range.to.valueOf()];
    const explicitMs = durationMs(getTemplateSrv().replace(target.step, request.scopedVars));
    const stepMs = Math.max(1000, explicitMs || request.intervalMs * (target.resolution ?? 1));
    const expr = this.#interpolate(target.expr, request.scopedVars, range, stepMs);
    // Variables that have no value yet leave selectors that name nothing, which no server answers.
    if (namesNothing(expr)) return [];
    const limit = target.maxLines ?? LINES_DEFAULT;
    const instant = target.queryType === 'instant' || target.instant;
    const data = instant
      ? await this.client.query(expr, endMs, limit, signal)
      : await this.client.queryRange(expr, { startMs, endMs }, { limit, step: `${stepMs / 1000}` }, signal);
    const replaced = getTemplateSrv().replace(target.legendFormat, request.scopedVars);
    return frames(data, { ...target, legendFormat: replaced }, expr, instant ? undefined : stepMs);
  }

  #interpolate(
    expr: string,
    scopedVars: ScopedVars,
    range: DataQueryRequest['range'],
    stepMs: number,
  ): string {
    const durations = durationVariables(range, { stepMs, rateIntervalMs: stepMs });
    const auto = { text: writeDuration(stepMs), value: writeDuration(stepMs) };
    return getTemplateSrv().replace(expr, { ...scopedVars, ...durations, __auto: auto }, matcherFormat);
  }

  override async metricFindQuery(
    stored: unknown,
    options?: LegacyMetricFindQueryOptions,
  ): Promise<MetricFindValue[]> {
    const text = getTemplateSrv().replace(variableText(stored), options?.scopedVars, matcherFormat);
    const range = options?.range ?? { from: dateTime().subtract(1, 'h'), to: dateTime() };
    const span = { startMs: range.from.valueOf(), endMs: range.to.valueOf() };
    const toValues = (found: string[]) => found.map((value) => ({ text: value, value }));
    if (LABEL_NAMES.test(text)) return toValues(await this.client.labelNames(span));
    const values = LABEL_VALUES.exec(text);
    if (!values?.[2]) return [];
    return toValues(await this.client.labelValues(values[2], span, values[1]));
  }

  async testDatasource(): Promise<TestDataSourceResponse> {
    await this.client.labelNames({ startMs: Date.now() - 60_000, endMs: Date.now() });
    return { status: 'success', message: 'The server answers.' };
  }
}

/** Whether none of the matchers of the first selector asks for a label to be there. */
export function namesNothing(expr: string): boolean {
  const selector = /\{((?:[^"`}]|"(?:[^"\\]|\\.)*"|`[^`]*`)*)\}/.exec(expr)?.[1];
  if (selector === undefined) return false;
  const matchers = [...selector.matchAll(/[\w.]+\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|`([^`]*)`)/g)];
  return matchers.every(([, operator, quoted, raw]) => {
    const value = quoted ?? raw ?? '';
    return value === '' ? operator === '=' || operator === '=~' : operator === '=~' && value === '.*';
  });
}

/** Queries of variables are kept as text, or as an object of what the editor asked for. */
function variableText(stored: unknown): string {
  if (typeof stored === 'string') return stored;
  const { query, label, stream, type } = (stored ?? {}) as Record<string, string | number | undefined>;
  if (query) return String(query);
  if (type === 0) return 'label_names()';
  return label ? `label_values(${stream ? `${stream}, ` : ''}${label})` : '';
}

function frames(data: LogData, target: LokiQuery, expr: string, stepMs: number | undefined): DataFrame[] {
  if (data.resultType === 'streams') {
    const frame = logFrame(data.result, target.refId, expr);
    return [{ ...frame, meta: { ...frame.meta, custom: { ...frame.meta?.custom, [LOG_COST]: data.stats } } }];
  }
  const { refId, legendFormat } = target;
  const query = { refId, expr, ...(legendFormat ? { legendFormat } : {}) };
  return toFrames(data, { query, expr, ...(stepMs === undefined ? {} : { stepMs }) });
}
