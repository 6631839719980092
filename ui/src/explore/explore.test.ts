import { expect, it } from 'vitest';
import { withLabel } from './scene';
import { EXPLORE_DEFAULTS, exploreHref, readExplore } from './url';

it('an address restores what it was made of', () => {
  const state = {
    datasource: 'x',
    queries: [
      { refId: 'A', expr: 'rate(a{b="c&d"}[5m])' },
      { refId: 'B', expr: 'up', instant: true },
    ],
    from: 'now-3h',
    to: '1700000000000',
  };
  expect(readExplore(new URL(exploreHref(state), 'http://x').searchParams)).toEqual(state);
});

it.each(['', 'q=nonsense', 'q=[]', 'q=[{"expr":1}]'])(
  'an address of nothing is an empty query: %s',
  (search) => {
    expect(readExplore(new URLSearchParams(search))).toEqual(EXPLORE_DEFAULTS);
  },
);

it.each([
  ['{app="a"} |= "x"', '{app="a"} |= "x" | pod="p\\"1"'],
  ['{}', '{pod="p\\"1"}'],
  ['', '{pod="p\\"1"}'],
])('a label is asked for: %s', (expr, expected) => {
  expect(withLabel(expr, 'pod', 'p"1', '=')).toBe(expected);
});
