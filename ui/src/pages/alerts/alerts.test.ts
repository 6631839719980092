import { expect, it } from 'vitest';
import type { GettableAlert } from '~/api/alertmanager';
import { grouped, merged } from './load';

const rule = (alertname: string, state = 'firing', labels = {}) => ({
  labels: { alertname, ...labels },
  annotations: {},
  state,
  activeAt: '2026-11-21T00:00:00Z',
});
const told = (alertname: string, status: Partial<GettableAlert['status']> = {}) =>
  ({
    labels: { alertname },
    annotations: {},
    startsAt: '2026-11-21T01:00:00Z',
    receivers: [{ name: 'team' }],
    status: { state: 'active', silencedBy: [], inhibitedBy: [], ...status },
  }) as unknown as GettableAlert;

it('an alert of a rule is what the Alertmanager makes of it', () => {
  const alerts = merged(
    [rule('Down'), rule('Slow', 'pending'), rule('Quiet')],
    [told('Quiet', { silencedBy: ['s'] }), told('Other', { inhibitedBy: ['o'] }), told('Down')],
  );
  expect(alerts.map(({ labels, state }) => [labels.alertname, state])).toEqual([
    ['Down', 'firing'],
    ['Slow', 'pending'],
    ['Other', 'inhibited'],
    ['Quiet', 'silenced'],
  ]);
  expect(alerts[0]).toMatchObject({ since: '2026-11-21T00:00:00Z', receivers: ['team'] });
});

it('groups with most that fire come first', () => {
  const alerts = merged(
    [
      rule('a', 'pending', { job: 'x' }),
      rule('b', 'firing', { job: 'y' }),
      rule('c', 'firing', { job: 'y' }),
      rule('d'),
    ],
    [],
  );
  expect(grouped(alerts, 'job').map(([value, list]) => [value, list.length])).toEqual([
    ['y', 2],
    ['', 1],
    ['x', 1],
  ]);
  expect(grouped(alerts, '')).toHaveLength(1);
});
