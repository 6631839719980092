/** Loki's HTTP API: what it answers, and how to ask. */
import { PREFIX, encodeParameters, request, type Parameters } from './http';
import type { Labels, MatrixSeries, VectorSeries } from './prometheus';
import { Shared } from './shared';

/** Nanoseconds since the epoch as text, the line, and what was kept or parsed beside it. */
export type Entry = [string, string, { structuredMetadata?: Labels; parsed?: Labels }?];

export interface Stream {
  stream: Labels;
  values: Entry[];
}
/** What a query cost. */
export interface LogStats {
  summary?: {
    totalBytesProcessed?: number;
    totalLinesProcessed?: number;
    totalEntriesReturned?: number;
    /** Seconds. */
    execTime?: number;
    queueTime?: number;
  };
}
export type LogData =
  | { resultType: 'streams'; result: Stream[]; stats?: LogStats }
  | { resultType: 'matrix'; result: MatrixSeries[]; stats?: LogStats }
  | { resultType: 'vector'; result: VectorSeries[]; stats?: LogStats };

export interface Pattern {
  pattern: string;
  level?: string;
  /** Seconds since the epoch, and lines. */
  samples: [number, number][];
}
export interface DetectedField {
  label: string;
  type: string;
  cardinality: number;
  /** What finds it in lines; none where it is kept beside them. */
  parsers: string[] | null;
}

/** What a follower is told. */
export interface TailMessage {
  streams?: Stream[] | null;
  dropped_entries?: { timestamp: string; labels: Labels }[] | null;
}

/** Asks for labels to be told apart by where they come from. */
const CATEGORIZED = { 'X-Loki-Response-Encoding-Flags': 'categorize-labels' };

interface Envelope<T> {
  data: T;
}

export interface LogRange {
  /** Milliseconds since the epoch. */
  startMs: number;
  endMs: number;
}

/** Milliseconds as the nanoseconds of the API, in text: they do not fit into a number. */
export const nanoseconds = (ms: number) => `${Math.floor(ms)}000000`;

export class LokiClient {
  readonly #shared = new Shared();

  constructor(readonly base: string) {}

  queryRange(
    query: string,
    { startMs, endMs }: LogRange,
    options: { limit?: number; step?: string; direction?: string },
    signal?: AbortSignal,
  ): Promise<LogData> {
    const range = { start: nanoseconds(startMs), end: nanoseconds(endMs) };
    return this.get('query_range', { query, ...range, ...options }, signal);
  }

  query(query: string, timeMs: number, limit: number | undefined, signal?: AbortSignal): Promise<LogData> {
    return this.get('query', { query, time: nanoseconds(timeMs), limit }, signal);
  }

  labelNames({ startMs, endMs }: LogRange, query?: string): Promise<string[]> {
    return this.get('labels', { start: nanoseconds(startMs), end: nanoseconds(endMs), query });
  }

  labelValues(name: string, { startMs, endMs }: LogRange, query?: string): Promise<string[]> {
    const range = { start: nanoseconds(startMs), end: nanoseconds(endMs) };
    return this.get(`label/${encodeURIComponent(name)}/values`, { ...range, query });
  }

  series(selector: string, { startMs, endMs }: LogRange, signal?: AbortSignal): Promise<Labels[]> {
    const range = { start: nanoseconds(startMs), end: nanoseconds(endMs) };
    return this.get('series', { 'match[]': selector, ...range }, signal);
  }

  patterns(selector: string, { startMs, endMs }: LogRange, stepS: number): Promise<Pattern[]> {
    const range = { start: nanoseconds(startMs), end: nanoseconds(endMs) };
    return this.get('patterns', { query: selector, ...range, step: `${stepS}s` });
  }

  /** What parsers find in lines of a query. */
  async fields(query: string, { startMs, endMs }: LogRange): Promise<DetectedField[]> {
    const range = { start: nanoseconds(startMs), end: nanoseconds(endMs) };
    const parameters = { query, ...range, line_limit: 1000 };
    const path = `${this.base}/loki/api/v1/detected_fields`;
    return (await request<{ fields?: DetectedField[] }>(path, { parameters })).fields ?? [];
  }

  async fieldValues(name: string, query: string, { startMs, endMs }: LogRange): Promise<string[]> {
    const range = { start: nanoseconds(startMs), end: nanoseconds(endMs) };
    const path = `${this.base}/loki/api/v1/detected_field/${encodeURIComponent(name)}/values`;
    return (await request<{ values?: string[] }>(path, { parameters: { query, ...range } })).values ?? [];
  }

  /** Fails, with the place of the error, where the server cannot read the query. */
  async check(query: string): Promise<void> {
    await request(`${this.base}/loki/api/v1/format_query`, { parameters: { query } });
  }

  /** Follows lines as they are stored, here or by the server that this one asks. */
  tail(query: string, limit: number): WebSocket {
    const encoded = encodeParameters({ query, limit });
    const { protocol, host } = window.location;
    const scheme = protocol === 'https:' ? 'wss' : 'ws';
    return new WebSocket(`${scheme}://${host}${PREFIX}${this.base}/loki/api/v1/tail?${encoded}`);
  }

  get<T>(path: string, parameters: Parameters, signal?: AbortSignal): Promise<T> {
    const key = `${path} ${JSON.stringify(parameters)}`;
    return this.#shared.run(key, signal, async (inner) => {
      const answer = await request<Envelope<T>>(`${this.base}/loki/api/v1/${path}`, {
        parameters,
        signal: inner,
        headers: CATEGORIZED,
      });
      // What names labels has nothing where there are none.
      return answer.data ?? ([] as T);
    });
  }
}

/** This server's own logs. */
export const ownLogs = new LokiClient('');
