// What the screens are measured on: a day of series, an hour of lines, and dashboards over them. The same each time.
import { post, sendSeries } from './remoteWrite.mjs';

/** What the graph of many series asks for, and how many it gets. */
export const GRAPH = 'bench_load{group=~"g[0-5]"} or bench_load{group="g6", instance=~"host-[01]:9100"}';
export const SERIES_OF_GRAPH = 50;
const SCRAPE_MS = 30_000;
const DAY_MS = 25 * 3_600_000;
const PANELS = 20;
const SERIES_OF_PANEL = 8;
export const LINES = 5000;

function* times(endMs) {
  for (let at = endMs - DAY_MS; at <= endMs; at += SCRAPE_MS) yield at;
}

/** A curve that looks like one, by its number. */
const value = (number, timeMs) =>
  50 + 30 * Math.sin(timeMs / 4e6 + number) + 10 * Math.sin(timeMs / 3e5 + number * 7) + (number % 5);

/** Writes a day, and an hour more, of gauges and counters up to `endMs`, in the order of time. */
export async function writeDay(url, endMs) {
  const all = Array.from({ length: PANELS * SERIES_OF_PANEL }, (_, number) => number);
  const labels = (number) => ({
    job: 'bench',
    group: `g${Math.floor(number / SERIES_OF_PANEL)}`,
    instance: `host-${number % SERIES_OF_PANEL}:9100`,
  });
  const every = [...times(endMs)];
  const perRequest = 60;
  for (let from = 0; from < every.length; from += perRequest) {
    const piece = every.slice(from, from + perRequest);
    const gauges = all.map((number) => ({
      labels: { __name__: 'bench_load', ...labels(number) },
      samples: piece.map((at) => [at, value(number, at)]),
    }));
    const counters = all.map((number) => ({
      labels: { __name__: 'bench_requests_total', ...labels(number) },
      samples: piece.map((at) => [at, ((at - endMs + DAY_MS) / 1000) * (1 + (number % 9))]),
    }));
    await sendSeries(url, [...gauges, ...counters]);
  }
}

const LEVELS = ['info', 'info', 'info', 'debug', 'warn', 'error'];

/** Writes lines of several lengths, some of JSON, some in colours, over the last half hour. */
export async function writeLines(url, endMs) {
  const lines = Array.from({ length: LINES + 500 }, (_, number) => {
    const level = LEVELS[number % LEVELS.length];
    const at = endMs - 1_800_000 + Math.floor((number * 1_790_000) / (LINES + 500));
    const texts = [
      `level=${level} msg="request done" path=/api/items/${number} status=200 duration=${number % 900}ms`,
      JSON.stringify({ level, message: 'query finished', took_ms: number % 700, user: `u${number % 50}` }),
      `\u001b[32m${level}\u001b[0m job ${number} ${'took longer than it should have and says so at length; '.repeat(number % 7)}`,
    ];
    return [`${at}${String(number % 1_000_000).padStart(6, '0')}`, texts[number % texts.length]];
  });
  const streams = [{ stream: { service_name: 'bench', host: 'host-0' }, values: lines }];
  const headers = { 'Content-Type': 'application/json' };
  await post(`${url}/loki/api/v1/push`, headers, JSON.stringify({ streams }));
}

/** Twenty graphs that are all in sight at once. */
export const DASHBOARD = {
  uid: 'bench',
  title: 'Twenty panels over a day',
  schemaVersion: 39,
  time: { from: 'now-24h', to: 'now' },
  panels: Array.from({ length: PANELS }, (_, number) => ({
    id: number + 1,
    type: 'timeseries',
    title: `Panel ${number + 1}`,
    gridPos: { x: (number % 5) * 4, y: Math.floor(number / 5) * 6, w: 4, h: 6 },
    targets: [
      {
        refId: 'A',
        expr:
          number % 2
            ? `sum by (instance) (rate(bench_requests_total{group="g${number}"}[5m]))`
            : `bench_load{group="g${number}"}`,
      },
    ],
  })),
};
