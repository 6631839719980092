/** Loki's HTTP API: what it answers, and how to ask. */
import { request, type Parameters } from './http';
import type { Labels, MatrixSeries, VectorSeries } from './prometheus';
import { Shared } from './shared';

/** Nanoseconds since the epoch as text, the line, and what was kept or parsed beside it. */
export type Entry = [string, string, { structuredMetadata?: Labels; parsed?: Labels }?];

export interface Stream {
  stream: Labels;
  values: Entry[];
}
export type LogData =
  | { resultType: 'streams'; result: Stream[]; stats?: unknown }
  | { resultType: 'matrix'; result: MatrixSeries[]; stats?: unknown }
  | { resultType: 'vector'; result: VectorSeries[]; stats?: unknown };

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

  get<T>(path: string, parameters: Parameters, signal?: AbortSignal): Promise<T> {
    const key = `${path} ${JSON.stringify(parameters)}`;
    return this.#shared.run(key, signal, async (inner) => {
      const answer = await request<Envelope<T>>(`${this.base}/loki/api/v1/${path}`, {
        parameters,
        signal: inner,
      });
      // What names labels has nothing where there are none.
      return answer.data ?? ([] as T);
    });
  }
}

/** This server's own logs. */
export const ownLogs = new LokiClient('');
