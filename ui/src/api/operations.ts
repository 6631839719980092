/** What the pages for operators ask: this server itself, beyond the APIs that others have, too. */
import { request, type Parameters } from './http';
import type { DroppedTarget, Envelope, Labels, Target } from './prometheus';

export interface ScrapeCost {
  /** What the target exposed, and what relabelling of metrics kept of it. */
  samples: number;
  samplesKept: number;
  /** Series that were not there the scrape before. */
  seriesAdded: number;
  bodyBytes: number;
}
export interface CostlyTarget extends Target {
  cost: ScrapeCost;
}
export interface AllTargets {
  active: CostlyTarget[];
  dropped: DroppedTarget[];
  /** How many were dropped by pool; more than are listed where the configuration limits them. */
  droppedCounts: Record<string, number>;
  /** Targets that relabelling kept and that cannot be scraped. */
  unusable: { scrapePool: string; error: string }[];
}

export interface RelabelRule {
  action: string;
  source_labels?: string[] | null;
  separator?: string;
  regex?: string;
  modulus?: number;
  target_label?: string;
  replacement?: string;
}
export interface RelabelStep {
  rule: RelabelRule;
  /** The labels after it; none once they were dropped. */
  output: Labels;
  keep: boolean;
}

/** A query that runs, or that ran. */
export interface QueryView {
  id: number;
  query: string;
  language: 'promql' | 'logql';
  kind: 'instant' | 'range' | 'lines';
  startMs?: number;
  endMs?: number;
  stepMs?: number;
  asker?: string;
  startedMs: number;
  seconds: number;
  isWaiting: boolean;
  peakBytes: number;
  /** What it has read so far. */
  samples: number;
  lines: number;
  bytes: number;
  error?: string;
}
export interface QueryLoad {
  running: QueryView[];
  slowest: QueryView[];
  slots: number;
  freeSlots: number;
  memoryBytes: number;
  maxMemoryBytes: number;
}

/** A metric, or a label and its value: series now, and the same time before. */
export interface CardinalityEntry {
  name: string;
  value?: string;
  series: number;
  before: number;
}
export interface LabelCardinality {
  name: string;
  values: number;
  valuesBefore: number;
  series: number;
  before: number;
}
export interface Cardinality {
  series: number;
  seriesBefore: number;
  metrics: CardinalityEntry[];
  labels: LabelCardinality[];
  pairs: CardinalityEntry[];
  grownMetrics: CardinalityEntry[];
  grownPairs: CardinalityEntry[];
}
interface CardinalityQuestion {
  /** Seconds since the epoch. */
  start: number;
  end: number;
  /** How much earlier the time to compare with is, such as `1d`. */
  offset: string;
  match?: string;
  limit: number;
}

export interface Block {
  ulid: string;
  minTime: number;
  maxTime: number;
  stats: { numSamples?: number; numSeries?: number; numChunks?: number; numTombstones?: number };
  compaction: { level: number; sources?: string[] };
}

/** What is stored of logs. */
export interface LogStorage {
  bucket: string;
  memoryBytes: number;
  maxMemoryBytes: number;
  memoryStreams: number;
  walBytes: number;
  maxWalBytes: number;
  walSegments: number;
  waiting: number;
  days: LogDay[];
  retention: { selector: string; seconds: number | null }[];
}
export interface LogDay {
  day: string;
  objects: number;
  entries: number;
  sizeBytes: number;
  lineBytes: number;
  quarantined: number;
  /** Objects by how often they were compacted. */
  levels: number[];
}

/** A family of this process's own metrics. */
export interface SelfMetric {
  name: string;
  help: string;
  metric: {
    label?: { name: string; value: string }[];
    counter?: { value: number | string };
    gauge?: { value: number | string };
  }[];
}

async function data<T>(path: string, parameters: Parameters = {}): Promise<T> {
  return (await request<Envelope<T>>(path, { parameters })).data;
}

export const operations = {
  targets: () => data<AllTargets>('/api/operations/targets'),

  /** What the rules of a pool do with labels: with those of a target, or with those of a series. */
  relabelSteps(pool: string, labels: Labels, of: 'target' | 'series'): Promise<{ steps: RelabelStep[] }> {
    const path = of === 'target' ? '/api/v1/targets/relabel_steps' : '/api/operations/metric_relabel_steps';
    return data(path, { scrapePool: pool, labels: JSON.stringify(labels) });
  },

  pools: () => data<{ scrapePools: string[] }>('/api/v1/scrape_pools'),

  queries: () => data<QueryLoad>('/api/operations/queries'),

  endQuery: (id: number): Promise<void> => request(`/api/operations/queries/${id}`, { method: 'DELETE' }),

  cardinality: ({ match, ...rest }: CardinalityQuestion) =>
    data<Cardinality>('/api/operations/cardinality', { ...rest, 'match[]': match }),

  blocks: async () => (await data<{ blocks: Block[] | null }>('/api/v1/status/tsdb/blocks')).blocks ?? [],

  logStorage: () => request<LogStorage>('/loki/api/v1/storage'),

  /** How many streams had entries. */
  async logStreams(startMs: number, endMs: number): Promise<number> {
    const parameters = { query: '{service_name=~".+"}', start: `${startMs}000000`, end: `${endMs}000000` };
    return (await request<{ streams: number }>('/loki/api/v1/index/stats', { parameters })).streams;
  },

  /** Bytes of logs by the values of a label. */
  async logVolume(label: string, startMs: number, endMs: number): Promise<{ name: string; bytes: number }[]> {
    const parameters = {
      query: `{${label}=~".+"}`,
      targetLabels: label,
      start: `${startMs}000000`,
      end: `${endMs}000000`,
      limit: 20,
    };
    const { result } = await data<{ result: { metric: Labels; value: [number, string] }[] }>(
      '/loki/api/v1/index/volume',
      parameters,
    );
    return result.map(({ metric, value }) => ({ name: metric[label] ?? '', bytes: Number(value[1]) }));
  },

  /** This process's own metrics whose names match. */
  selfMetrics: (pattern: string) =>
    data<SelfMetric[]>('/api/v1/status/self_metrics', { metric_name_pattern: pattern }),
};
