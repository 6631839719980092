/** Prometheus's HTTP API: what it answers, and how to ask. */
import { request, type Parameters } from './http';
import { Shared } from './shared';

export type Labels = Record<string, string>;
/** Seconds since the epoch, and a number as text. */
export type Sample = [number, string];
export type HistogramBucket = [boundaries: number, from: string, to: string, count: string];
export interface Histogram {
  count: string;
  sum: string;
  buckets?: HistogramBucket[];
}

export interface VectorSeries {
  metric: Labels;
  value?: Sample;
  histogram?: [number, Histogram];
}
export interface MatrixSeries {
  metric: Labels;
  values?: Sample[];
  histograms?: [number, Histogram][];
}
export type QueryData =
  | { resultType: 'vector'; result: VectorSeries[] }
  | { resultType: 'matrix'; result: MatrixSeries[] }
  | { resultType: 'scalar'; result: Sample }
  | { resultType: 'string'; result: Sample };

export interface Envelope<T> {
  status: 'success' | 'error';
  data: T;
  warnings?: string[];
  infos?: string[];
}
export interface QueryAnswer {
  data: QueryData;
  warnings: string[];
  infos: string[];
}

export interface ExemplarSeries {
  seriesLabels: Labels;
  exemplars: { labels: Labels; value: string; timestamp: number }[];
}
export interface Metadata {
  type: string;
  help: string;
  unit: string;
}
export interface Target {
  discoveredLabels: Labels;
  labels: Labels;
  scrapePool: string;
  scrapeUrl: string;
  globalUrl: string;
  lastError: string;
  lastScrape: string;
  lastScrapeDuration: number;
  health: 'up' | 'down' | 'unknown';
  scrapeInterval: string;
  scrapeTimeout: string;
}
export interface DroppedTarget {
  discoveredLabels: Labels;
  scrapePool: string;
}
export interface Targets {
  activeTargets: Target[];
  droppedTargets: DroppedTarget[];
  droppedTargetCounts?: Record<string, number>;
}
export interface RuleAlert {
  labels: Labels;
  annotations: Labels;
  state: 'pending' | 'firing' | 'inactive' | 'unknown';
  activeAt?: string;
  value: string;
}
export interface Rule {
  type: 'alerting' | 'recording';
  name: string;
  query: string;
  labels?: Labels;
  annotations?: Labels;
  /** Seconds an alert is pending. */
  duration?: number;
  keepFiringFor?: number;
  health: 'ok' | 'err' | 'unknown';
  lastError?: string;
  /** Seconds. */
  evaluationTime: number;
  lastEvaluation: string;
  state?: RuleAlert['state'];
  alerts?: RuleAlert[];
}
export interface RuleGroup {
  name: string;
  file: string;
  /** Seconds. */
  interval: number;
  evaluationTime: number;
  lastEvaluation: string;
  rules: Rule[];
}
export interface TsdbStatus {
  headStats: {
    numSeries: number;
    chunkCount: number;
    minTime: number;
    maxTime: number;
    numLabelPairs?: number;
  };
  seriesCountByMetricName: { name: string; value: number }[];
  labelValueCountByLabelName: { name: string; value: number }[];
  memoryInBytesByLabelName: { name: string; value: number }[];
  seriesCountByLabelValuePair: { name: string; value: number }[];
}

interface Range {
  /** Seconds since the epoch. */
  start: number;
  end: number;
}

/** A server's metrics, below a path such as `''` for this server itself. */
export class PrometheusClient {
  readonly #shared = new Shared();

  constructor(readonly base: string) {}

  async query(
    expr: string,
    timeS: number,
    options: { limit?: number; signal?: AbortSignal } = {},
  ): Promise<QueryAnswer> {
    return this.#ask('query', { query: expr, time: timeS, limit: options.limit }, options.signal);
  }

  async queryRange(
    expr: string,
    range: Range & { step: number },
    signal?: AbortSignal,
  ): Promise<QueryAnswer> {
    return this.#ask('query_range', { query: expr, ...range }, signal);
  }

  exemplars(expr: string, range: Range, signal?: AbortSignal): Promise<ExemplarSeries[]> {
    return this.get('query_exemplars', { query: expr, ...range }, signal);
  }

  labelNames(parameters: Parameters, signal?: AbortSignal): Promise<string[]> {
    return this.get('labels', parameters, signal);
  }

  labelValues(name: string, parameters: Parameters, signal?: AbortSignal): Promise<string[]> {
    return this.get(`label/${encodeURIComponent(name)}/values`, parameters, signal);
  }

  series(matchers: string[], range: Range, limit?: number, signal?: AbortSignal): Promise<Labels[]> {
    return this.get('series', { 'match[]': matchers, limit, ...range }, signal);
  }

  metadata(metric?: string): Promise<Record<string, Metadata[]>> {
    return this.get('metadata', { metric });
  }

  targets(): Promise<Targets> {
    return this.get('targets', {});
  }

  rules(): Promise<{ groups: RuleGroup[] }> {
    return this.get('rules', {});
  }

  /** Any other answer in the API's envelope. */
  get<T>(path: string, parameters: Parameters, signal?: AbortSignal): Promise<T> {
    const key = `${path} ${JSON.stringify(parameters)}`;
    return this.#shared.run(key, signal, async (inner) => {
      const answer = await request<Envelope<T>>(`${this.base}/api/v1/${path}`, { parameters, signal: inner });
      return answer.data;
    });
  }

  #ask(path: string, parameters: Parameters, signal?: AbortSignal): Promise<QueryAnswer> {
    const key = `${path} ${JSON.stringify(parameters)}`;
    return this.#shared.run(key, signal, async (inner) => {
      const url = `${this.base}/api/v1/${path}`;
      const answer = await request<Envelope<QueryData>>(url, { parameters, form: true, signal: inner });
      return { data: answer.data, warnings: answer.warnings ?? [], infos: answer.infos ?? [] };
    });
  }
}

/** This server's own metrics. */
export const ownMetrics = new PrometheusClient('');
