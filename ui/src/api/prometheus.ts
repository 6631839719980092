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

/** What a query cost, as the server tells with `stats=all`. */
export interface QueryStats {
  timings: {
    /** Seconds. */
    evalTotalTime: number;
    queryPreparationTime: number;
    innerEvalTime: number;
    resultSortTime: number;
    execQueueTime: number;
    execTotalTime: number;
  };
  samples: {
    totalQueryableSamples: number;
    peakSamples: number;
    /** Absent from servers of Prometheus. */
    samplesRead?: number;
    /** Seconds since the epoch, and samples. */
    totalQueryableSamplesPerStep?: [number, number][];
  };
}

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
  stats?: QueryStats;
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

export interface MatcherNode {
  name: string;
  type: '=' | '!=' | '=~' | '!~';
  value: string;
}
interface Modifiers {
  /** Milliseconds. */
  offset: number;
  /** Milliseconds since the epoch. */
  timestamp: number | null;
  startOrEnd: 'start' | 'end' | null;
}
export interface SelectorNode extends Modifiers {
  type: 'vectorSelector' | 'matrixSelector';
  name: string;
  matchers: MatcherNode[];
  /** Milliseconds, of a range. */
  range?: number;
  anchored?: boolean;
  smoothed?: boolean;
}
/** An expression as the server reads it. */
export type ExprNode =
  | { type: 'numberLiteral' | 'stringLiteral'; val: string }
  | { type: 'parenExpr'; expr: ExprNode }
  | { type: 'unaryExpr'; op: string; expr: ExprNode }
  | {
      type: 'binaryExpr';
      op: string;
      lhs: ExprNode;
      rhs: ExprNode;
      bool: boolean;
      matching: { card: string; labels: string[] | null; on: boolean; include: string[] | null } | null;
    }
  | {
      type: 'aggregation';
      op: string;
      expr: ExprNode;
      param: ExprNode | null;
      grouping: string[] | null;
      without: boolean;
    }
  | { type: 'call'; func: { name: string; returnType: string }; args: ExprNode[] }
  | ({ type: 'subquery'; expr: ExprNode; range: number; step: number } & Modifiers)
  | SelectorNode;

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
    options: { limit?: number; signal?: AbortSignal; stats?: boolean } = {},
  ): Promise<QueryAnswer> {
    const stats = options.stats ? 'all' : undefined;
    return this.#ask('query', { query: expr, time: timeS, limit: options.limit, stats }, options.signal);
  }

  async queryRange(
    expr: string,
    range: Range & { step: number },
    signal?: AbortSignal,
    stats = false,
  ): Promise<QueryAnswer> {
    return this.#ask('query_range', { query: expr, ...range, stats: stats ? 'all' : undefined }, signal);
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

  /** The tree of an expression; fails with the place of the error where there is one. */
  parse(expr: string): Promise<ExprNode> {
    return this.get('parse_query', { query: expr });
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
      type Data = QueryData & { stats?: QueryStats };
      const answer = await request<Envelope<Data>>(url, { parameters, form: true, signal: inner });
      const { data, warnings = [], infos = [] } = answer;
      return { data, warnings, infos, ...(data.stats ? { stats: data.stats } : {}) };
    });
  }
}

/** This server's own metrics. */
export const ownMetrics = new PrometheusClient('');
