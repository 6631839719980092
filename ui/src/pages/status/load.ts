/** What this server is doing, by what it counts itself: seen without that anybody scrapes it. */
import type { SelfMetric } from '~/api/operations';
import type { Tile } from '~/app/Tiles';
import { bytes, count } from '~/app/format';

/** The families that are asked for. */
export const PATTERN = [
  'prometheus_tsdb_head_samples_appended_total',
  'prometheus_tsdb_head_series(_created_total)?',
  'prometheus_http_requests_total',
  'prometheus_engine_query_samples_total',
  'bartizan_ingest_samples_total',
  'loki_distributor_(lines|bytes)_received_total',
  'loki_ingester_entries_total',
  'process_cpu_seconds_total',
  'process_resident_memory_bytes',
  'process_open_fds',
].join('|');

/** What was counted at a moment; milliseconds since the epoch. */
export interface Counted {
  atMs: number;
  values: Map<string, number>;
}

/** The sum of each family over its labels. */
export function counted(families: SelfMetric[], atMs: number): Counted {
  const values = new Map<string, number>();
  for (const { name, metric } of families) {
    const sum = metric.reduce((all, { counter, gauge }) => all + Number((counter ?? gauge)?.value ?? 0), 0);
    values.set(name, sum);
  }
  return { atMs, values };
}

/** What a counter gains in a second; nothing is known of one that began anew. */
export function rate(before: Counted | undefined, now: Counted, name: string): number | undefined {
  const [first, last] = [before?.values.get(name), now.values.get(name)];
  const elapsedMs = now.atMs - (before?.atMs ?? now.atMs);
  if (first === undefined || last === undefined || last < first || elapsedMs <= 0) return undefined;
  return ((last - first) * 1000) / elapsedMs;
}

/** The numbers of the page. What a server does not count is left out. */
export function tiles(before: Counted | undefined, now: Counted): Tile[] {
  const shown: (Tile | undefined)[] = [
    perSecond(before, now, 'Samples stored', 'prometheus_tsdb_head_samples_appended_total', each),
    perSecond(before, now, 'Samples pushed', 'bartizan_ingest_samples_total', each),
    gauge(now, 'Series in memory', 'prometheus_tsdb_head_series', count),
    perSecond(before, now, 'New series', 'prometheus_tsdb_head_series_created_total', each),
    perSecond(before, now, 'Log lines', 'loki_distributor_lines_received_total', each),
    perSecond(before, now, 'Log volume', 'loki_distributor_bytes_received_total', bytes),
    perSecond(before, now, 'Samples read by queries', 'prometheus_engine_query_samples_total', each),
    perSecond(before, now, 'HTTP requests', 'prometheus_http_requests_total', each),
    perSecond(
      before,
      now,
      'CPU',
      'process_cpu_seconds_total',
      (cores) => `${(cores * 100).toFixed(0)} %`,
      '',
    ),
    gauge(now, 'Memory', 'process_resident_memory_bytes', bytes),
    gauge(now, 'Open files', 'process_open_fds', count),
  ];
  return shown.filter((tile) => tile !== undefined);
}

const each = (value: number) => (value >= 10 ? count(Math.round(value)) : value.toFixed(1));

function perSecond(
  before: Counted | undefined,
  now: Counted,
  label: string,
  name: string,
  format: (value: number) => string,
  unit = '/s',
): Tile | undefined {
  if (!now.values.has(name)) return undefined;
  const found = rate(before, now, name);
  return { label, value: found === undefined ? '...' : `${format(found)}${unit}` };
}

function gauge(
  now: Counted,
  label: string,
  name: string,
  format: (value: number) => string,
): Tile | undefined {
  const value = now.values.get(name);
  return value === undefined ? undefined : { label, value: format(value) };
}
