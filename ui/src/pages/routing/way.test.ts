import { expect, it } from 'vitest';
import type { RouteNode } from '~/api/routing';
import { period, wayTo } from './way';

const route = (id: string, routes: RouteNode[] = []) => ({ id, routes }) as RouteNode;

it('the way to a route leads through those above it', () => {
  const tree = route('r', [route('a', [route('a1')]), route('b', [route('b1'), route('b2')])]);
  expect(wayTo(tree, 'b2')).toEqual(['r', 'b', 'b2']);
  expect(wayTo(tree, 'r')).toEqual(['r']);
  expect(wayTo(tree, 'gone')).toEqual([]);
});

it.each([
  [30, '30s'],
  [300, '5m'],
  [5400, '1h30m'],
  [0, '0s'],
  [100_000, '1d3h46m40s'],
])('%d seconds are written %s', (seconds, text) => expect(period(seconds)).toBe(text));
