import { expect, it } from 'vitest';
import type { Rule } from '~/api/prometheus';
import { filtered, stateOf, type SourcedGroup } from './load';

const rule = (name: string, changed: Partial<Rule> = {}) =>
  ({ type: 'alerting', name, query: 'up == 0', health: 'ok', state: 'inactive', ...changed }) as Rule;

it('a rule that fails is failing, whatever its alerts were', () => {
  expect(stateOf(rule('a', { health: 'err', state: 'firing' }))).toBe('failing');
  expect(stateOf(rule('a', { state: 'pending' }))).toBe('pending');
  expect(stateOf({ type: 'recording', health: 'ok' } as Rule)).toBe('ok');
});

it('groups are left of which a rule fits', () => {
  const group = (name: string, rules: Rule[]) => ({ name, file: 'f', rules }) as SourcedGroup;
  const groups = [
    group('hosts', [rule('Down', { state: 'firing' }), rule('Slow')]),
    group('other', [rule('Fine')]),
  ];
  const names = (found: SourcedGroup[]) =>
    found.map(({ name, rules }) => [name, rules.map((each) => each.name)]);
  expect(names(filtered(groups, '', 'firing'))).toEqual([['hosts', ['Down']]]);
  expect(names(filtered(groups, 'HOSTS', 'all'))).toEqual([['hosts', ['Down', 'Slow']]]);
  expect(filtered(groups, 'nothing', 'all')).toEqual([]);
});
