import { beforeEach, expect, it } from 'vitest';
import { found, loadHistory, rememberRun, saveHistory, withChange, withRun } from './history';
import { logsOf, readJump, jumpHref } from './jump';
import { EXPLORE_DEFAULTS, exploreHref, readExplore, type ExploreState } from './url';
import { VIEW_DEFAULTS } from './view';

const back = (state: ExploreState) => readExplore(new URL(exploreHref(state), 'http://x').searchParams);

it('an address restores what it was made of', () => {
  const state: ExploreState = {
    datasource: 'x',
    queries: [
      { refId: 'A', expr: 'rate(a{b="c&d"}[5m])' },
      { refId: 'B', expr: 'up', instant: true, hide: true },
      { refId: 'C', expr: '{app="x"} |= `[{"expr":1}]`' },
    ],
    from: 'now-3h',
    to: '1700000000000',
    view: {
      ...VIEW_DEFAULTS,
      metrics: 'explain',
      style: 'stacked',
      wrap: false,
      dedup: 'numbers',
      order: 'Ascending',
      limit: 5000,
      columns: ['level', 'trace.id'],
    },
    synced: true,
  };
  expect(back(state)).toEqual(state);
  const right = { datasource: 'y', queries: [{ refId: 'A', expr: '' }], view: VIEW_DEFAULTS };
  const synced = { ...state, right: { ...right, from: state.from, to: state.to } };
  expect(back(synced)).toEqual(synced);
  const apart = { ...state, synced: false, right: { ...right, from: 'now-1d', to: 'now' } };
  expect(back(apart)).toEqual(apart);
});

it('the same state has the same address, and a plain query is in it as it is', () => {
  const state = { ...EXPLORE_DEFAULTS, queries: [{ refId: 'A', expr: 'up' }] };
  expect(exploreHref(state)).toBe('/explore?q=up&from=now-1h&to=now');
  expect(exploreHref(back(state))).toBe(exploreHref(state));
});

it('older links hold queries as one list', () => {
  const search = new URLSearchParams({ q: '[{"refId":"B","expr":"up"},{"expr":"x","instant":true}]' });
  expect(readExplore(search).queries).toEqual([
    { refId: 'A', expr: 'up' },
    { refId: 'B', expr: 'x', instant: true },
  ]);
});

it.each(['', 'q=[]', 'q=[{"expr":1}]', 'v=limit:7,nonsense,constructor'])(
  'an address of nothing is an empty query: %s',
  (search) => {
    expect(readExplore(new URLSearchParams(search))).toEqual(EXPLORE_DEFAULTS);
  },
);

beforeEach(() => localStorage.clear());

it('history keeps runs once, newest first, stars for good, and is found by words', () => {
  rememberRun('m', ['up']);
  rememberRun('m', ['rate(http_requests_total[5m])', '']);
  saveHistory(withChange(loadHistory(), loadHistory()[1] as never, { starred: true, comment: 'seen' }));
  rememberRun('m', ['down']);
  rememberRun('m', ['up']);
  const history = loadHistory();
  expect(history.map(({ queries, starred }) => [queries[0], starred])).toEqual([
    ['up', true],
    ['down', false],
    ['rate(http_requests_total[5m])', false],
  ]);
  expect(found(history, 'requests RATE', false)).toHaveLength(1);
  expect(found(history, 'SEEN', false)).toHaveLength(1);
  expect(found(history, '', true).map(({ queries }) => queries)).toEqual([['up']]);
  let many = history;
  for (let at = 0; at < 500; at++) many = withRun(many, { datasource: 'm', queries: [`q${at}`], atMs: at });
  expect(many.length).toBe(201);
  expect(many.at(-1)?.queries).toEqual(['up']);
});

it('history that something else wrote is left out', () => {
  localStorage.setItem(
    'bartizan.explore.history.',
    '[1,{"datasource":"m"},{"datasource":"m","atMs":1,"queries":[2]}]',
  );
  expect(loadHistory()).toEqual([]);
});

const STREAMS = [
  { namespace: 'shop', pod: 'web-0', host: 'n1' },
  { namespace: 'shop', pod: 'db-0', host: 'n2' },
];

/** A server that has those streams. */
const logs = {
  labelNames: () => Promise.resolve(['namespace', 'pod', 'host']),
  labelValues: (name: string) =>
    Promise.resolve(STREAMS.map((stream) => stream[name as keyof (typeof STREAMS)[number]])),
  series: (selector: string) =>
    Promise.resolve(
      STREAMS.filter((stream) => Object.entries(stream).every(([name, value]) => {
        const asked = new RegExp(`${name}="([^"]*)"`).exec(selector)?.[1];
        return asked === undefined || asked === value;
      })),
    ),
}; // prettier-ignore

it.each([
  [{ __name__: 'up', namespace: 'shop', pod: 'web-0', container: 'x' }, '{namespace="shop", pod="web-0"}'],
  // Both values are there, but in no stream at once.
  [{ pod: 'web-0', instance: 'n2:9100' }, '{pod="web-0"}'],
  [{ instance: 'n2:9100' }, '{host="n2"}'],
  [{ pod: 'nowhere' }, undefined],
])('the logs of %j', async (labels, expected) => {
  expect(await logsOf(logs, labels as Record<string, string>, { startMs: 0, endMs: 1 })).toBe(expected);
});

it('the way to the logs says what it needs', () => {
  const jump = { labels: { job: 'a"b' }, from: 'now-2h', to: 'now', beside: '?q=up', text: 'trace' };
  expect(readJump(new URL(jumpHref(jump), 'http://x').searchParams)).toEqual(jump);
  expect(readJump(new URLSearchParams('labels=[nonsense')).labels).toEqual({});
});
