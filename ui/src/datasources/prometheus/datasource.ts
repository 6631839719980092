import {
  DataSourceApi,
  LoadingState,
  dateTime,
  type DataFrame,
  type DataQueryRequest,
  type DataQueryResponse,
  type DataSourceInstanceSettings,
  type DataSourceJsonData,
  type LegacyMetricFindQueryOptions,
  type MetricFindValue,
  type QueryResultMetaNotice,
  type ScopedVars,
  type TestDataSourceResponse,
  type TimeRange,
} from '@grafana/data';
import { getTemplateSrv } from '@grafana/runtime';
import { Observable } from 'rxjs';
import { PrometheusClient, type QueryAnswer, type QueryStats } from '~/api/prometheus';
import { annotationSupport } from './annotations';
import type { Filter } from './filters';
import { exemplarFrame, parseNumber, toFrames, type FrameContext } from './frames';
import { matcherFormat } from './interpolate';
import { aligned, durationMs, durationVariables, step, type Step } from './interval';
import { wants, type PromQuery } from './query';
import { parseVariableQuery, runVariableQuery, variableText } from './variables';

export interface PromSettings extends DataSourceJsonData {
  /** How often its targets are scraped, such as `15s`. */
  timeInterval?: string;
}

const SCRAPE_INTERVAL_DEFAULT = '15s';
/** What stands for a time long enough for rates. */
const RATE_INTERVAL = '__rate_interval';
/** Who looks at a dashboard does not need every exemplar of every series. */
const EXEMPLARS_MAX = 200;

/** A Prometheus server, or what speaks its API, as dashboards use it. */
export class PrometheusDatasource extends DataSourceApi<PromQuery, PromSettings> {
  readonly client: PrometheusClient;
  #scrapeInterval: string;
  /** Settled when it is known how often this server scrapes; absent where that is said, or cannot be known. */
  #learning: Promise<void> | undefined;
  readonly #isToLearn: boolean;

  constructor(settings: DataSourceInstanceSettings<PromSettings>) {
    super(settings);
    this.client = new PrometheusClient(settings.url ?? '');
    const { timeInterval } = settings.jsonData;
    this.#scrapeInterval = timeInterval || SCRAPE_INTERVAL_DEFAULT;
    this.#isToLearn = !timeInterval && !settings.url;
    this.interval = this.#scrapeInterval;
    this.annotations = annotationSupport;
  }

  query(request: DataQueryRequest<PromQuery>): Observable<DataQueryResponse> {
    return new Observable((subscriber) => {
      const abort = new AbortController();
      this.#run(request, abort.signal).then(
        (response) => {
          subscriber.next(response);
          subscriber.complete();
        },
        (error: unknown) => {
          if (!abort.signal.aborted) subscriber.error(error);
        },
      );
      return () => abort.abort();
    });
  }

  override filterQuery(query: PromQuery): boolean {
    return !query.hide && Boolean(query.expr);
  }

  async #run(request: DataQueryRequest<PromQuery>, signal: AbortSignal): Promise<DataQueryResponse> {
    const targets = request.targets.filter((target) => this.filterQuery(target));
    if (targets.some(({ expr }) => expr.includes(RATE_INTERVAL))) await this.#learn();
    const severalTables = targets.filter(({ format }) => format === 'table').length > 1;
    const answers = await Promise.allSettled(
      targets.map((target) => this.#runTarget(target, request, severalTables, signal)),
    );
    const data: DataFrame[] = [];
    const errors: { message: string; refId: string }[] = [];
    answers.forEach((answer, index) => {
      if (answer.status === 'fulfilled') data.push(...answer.value);
      else errors.push({ message: message(answer.reason), refId: targets[index]?.refId ?? '' });
    });
    if (signal.aborted) throw new Error('cancelled');
    return errors.length ? { data, errors, state: LoadingState.Error } : { data, state: LoadingState.Done };
  }

  async #runTarget(
    target: PromQuery,
    request: DataQueryRequest<PromQuery>,
    severalTables: boolean,
    signal: AbortSignal,
  ): Promise<DataFrame[]> {
    const steps = this.#step(target, request);
    const expr = await withFilters(this.#interpolate(target.expr, request, steps), request.filters);
    const query = { ...target, legendFormat: this.#legendFormat(target, request) };
    const { instant, range } = wants(target);
    const frames: DataFrame[] = [];
    const context: FrameContext = { query, expr, severalTables };
    if (range) {
      const bounds = aligned(request.range, steps.stepMs, request.range.to.utcOffset() * 60_000);
      const answer = await this.client.queryRange(expr, bounds, signal, target.stats);
      const found = withNotices(toFrames(answer.data, { ...context, stepMs: steps.stepMs }), answer);
      frames.push(
        ...(answer.stats ? withCost(found, { ...answer.stats, expr, ...bounds }, target.refId) : found),
      );
    }
    if (instant) {
      const at = request.range.to.valueOf() / 1000;
      const answer = await this.client.query(expr, at, { signal, stats: target.stats ?? false });
      const found = withNotices(toFrames(answer.data, context), answer);
      const asked = { expr, start: at, end: at, step: 0 };
      frames.push(...(answer.stats ? withCost(found, { ...answer.stats, ...asked }, target.refId) : found));
    }
    if (target.exemplar && range) {
      const frame = await this.#exemplars(expr, request.range, target.refId, signal);
      if (frame) frames.push(frame);
    }
    return frames;
  }

  /** A server that scrapes more rarely than most would have rates over times in which there is one sample. */
  #learn(): Promise<void> {
    if (!this.#isToLearn) return Promise.resolve();
    return (this.#learning ??= this.client
      .get<{ yaml: string }>('status/config', {})
      .then(({ yaml }) => {
        const configured = configuredInterval(yaml);
        if (durationMs(configured) > durationMs(this.#scrapeInterval) && configured)
          this.#scrapeInterval = configured;
      })
      // Who may not see the configuration has the usual.
      .catch(() => undefined));
  }

  #step(target: PromQuery, request: DataQueryRequest): Step {
    const replaced = getTemplateSrv().replace(target.interval, request.scopedVars);
    return step({
      intervalMs: request.intervalMs,
      minStepMs: durationMs(replaced) || (target.step ?? 0) * 1000,
      scrapeIntervalMs: durationMs(this.#scrapeInterval),
      factor: target.intervalFactor ?? 1,
      range: { fromMs: request.range.from.valueOf(), toMs: request.range.to.valueOf() },
    });
  }

  #interpolate(expr: string, request: DataQueryRequest, steps: Step): string {
    const scopedVars: ScopedVars = { ...request.scopedVars, ...durationVariables(request.range, steps) };
    return getTemplateSrv().replace(expr, scopedVars, matcherFormat);
  }

  #legendFormat({ legendFormat }: PromQuery, { scopedVars }: DataQueryRequest): string | undefined {
    return legendFormat ? getTemplateSrv().replace(legendFormat, scopedVars) : legendFormat;
  }

  /** Exemplars are an addition: where there are none to be had, the graph is shown without. */
  async #exemplars(
    expr: string,
    range: TimeRange,
    refId: string,
    signal: AbortSignal,
  ): Promise<DataFrame | undefined> {
    const bounds = { start: range.from.valueOf() / 1000, end: range.to.valueOf() / 1000 };
    const found = await this.client.exemplars(expr, bounds, signal).catch(() => []);
    const all = found.flatMap(({ seriesLabels, exemplars }) =>
      exemplars.map(({ labels, value, timestamp }) => ({
        labels,
        series: seriesLabels,
        timeMs: timestamp * 1000,
        value: parseNumber(value),
      })),
    );
    const every = Math.ceil(all.length / EXEMPLARS_MAX);
    return exemplarFrame(
      all.filter((_, index) => index % every === 0),
      refId,
    );
  }

  override async metricFindQuery(
    stored: unknown,
    options?: LegacyMetricFindQueryOptions,
  ): Promise<MetricFindValue[]> {
    const range = options?.range ?? {
      from: dateTime().subtract(1, 'h'),
      to: dateTime(),
      raw: { from: 'now-1h', to: 'now' },
    };
    const rangeMs = range.to.valueOf() - range.from.valueOf();
    const steps: Step = {
      stepMs: durationMs(this.#scrapeInterval),
      rateIntervalMs: 4 * durationMs(this.#scrapeInterval),
    };
    const scopedVars: ScopedVars = { ...options?.scopedVars, ...durationVariables(range, steps) };
    const text = getTemplateSrv().replace(variableText(stored), scopedVars, matcherFormat);
    if (!text.trim()) return [];
    const end = range.to.valueOf() / 1000;
    return runVariableQuery(this.client, parseVariableQuery(text), { start: end - rangeMs / 1000, end });
  }

  override async getTagKeys(): Promise<MetricFindValue[]> {
    const end = Date.now() / 1000;
    const names = await this.client.labelNames({ start: end - 3600, end });
    return names.filter((name) => name !== '__name__').map((text) => ({ text, value: text }));
  }

  override async getTagValues({ key }: { key: string }): Promise<MetricFindValue[]> {
    const end = Date.now() / 1000;
    const values = await this.client.labelValues(key, { start: end - 3600, end });
    return values.map((text) => ({ text, value: text }));
  }

  override async testDatasource(): Promise<TestDataSourceResponse> {
    await this.client.query('1', Date.now() / 1000);
    return { status: 'success', message: 'The server answers.' };
  }
}

/** How often a configuration says that targets are scraped, unless they say otherwise themselves. */
export const configuredInterval = (yaml: string): string | undefined =>
  /^global:\n(?:[ ]+.*\n)*?[ ]+scrape_interval: *(\S+)/m.exec(yaml)?.[1];

/** Most dashboards have no filters of this kind: the parser they need is loaded when there are any. */
async function withFilters(expr: string, filters: DataQueryRequest['filters'] = []): Promise<string> {
  if (!filters.length) return expr;
  const { addFilters } = await import('./filters');
  return addFilters(expr, filters as Filter[]);
}

const message = (reason: unknown) => (reason instanceof Error ? reason.message : String(reason));

/** What a query cost, with what was asked. */
export interface QueryCost extends QueryStats {
  expr: string;
  /** Seconds since the epoch, and between points. */
  start: number;
  end: number;
  step: number;
}

export const COST = 'cost';

/** Puts what a query cost onto its first frame; one that found nothing gets a frame to carry it. */
function withCost(frames: DataFrame[], cost: QueryCost, refId: string): DataFrame[] {
  const [first = { refId, fields: [], length: 0 }, ...rest] = frames;
  const meta = { ...first.meta, custom: { ...first.meta?.custom, [COST]: cost } };
  return [{ ...first, meta }, ...rest];
}

/** Puts what the server warns of onto the frames, whose panel then shows it. */
function withNotices(frames: DataFrame[], { warnings, infos }: QueryAnswer): DataFrame[] {
  const notice = (severity: QueryResultMetaNotice['severity']) => (text: string) => ({ severity, text });
  const notices = [...warnings.map(notice('warning')), ...infos.map(notice('info'))];
  const first = frames[0];
  if (first && notices.length) first.meta = { ...first.meta, notices };
  return frames;
}
