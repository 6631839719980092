import { expect, it } from 'vitest';
import type { SelfMetric } from '~/api/operations';
import { growth, selectorOf } from './cardinality';
import { PATTERN, counted, rate, tiles } from './load';

const family = (name: string, ...values: number[]): SelfMetric => ({
  name,
  help: '',
  metric: values.map((value) => ({ counter: { value } })),
});

it('a rate is what a counter gained in the time between, over all labels', () => {
  const before = counted([family('a', 1, 2), family('b', 9)], 1000);
  const now = counted([family('a', 11, 12), family('b', 1), family('c', 5)], 3000);
  expect(rate(before, now, 'a')).toBe(10);
  expect(rate(before, now, 'b'), 'it began anew').toBeUndefined();
  expect(rate(before, now, 'c')).toBeUndefined();
  expect(rate(undefined, now, 'a')).toBeUndefined();
});

it('what a server does not count is not shown', () => {
  const name = 'loki_distributor_lines_received_total';
  expect(name).toMatch(new RegExp(`^(?:${PATTERN})$`));
  const shown = tiles(counted([family(name, 0)], 0), counted([family(name, 30)], 10_000));
  expect(shown).toEqual([{ label: 'Log lines', value: '3.0/s' }]);
});

it.each([
  [{ name: 'a', series: 5, before: 0 }, 'new'],
  [{ name: 'a', series: 15, before: 10 }, '+5 (+50 %)'],
  [{ name: 'a', series: 5, before: 10 }, '-5 (-50 %)'],
  [{ name: 'a', series: 5, before: 5 }, ''],
])('growth is told: %j', (entry, told) => expect(growth(entry)).toBe(told));

it('an entry becomes the selector that finds its series', () => {
  expect(selectorOf({ name: 'up', series: 1, before: 1 })).toBe('{__name__="up"}');
  expect(selectorOf({ name: 'pod', value: 'a"b', series: 1, before: 1 })).toBe('{pod="a\\"b"}');
  expect(selectorOf({ name: 'http.code', value: '1', series: 1, before: 1 })).toBe('{"http.code"="1"}');
});
