import { expect, it } from 'vitest';
import type { PanelJson } from '../../model';
import { emptied, withSource } from './QueriesTab';

const panel: PanelJson = {
  type: 'timeseries',
  gridPos: { x: 0, y: 0, w: 1, h: 1 },
  targets: [
    { refId: 'A', expr: 'up', datasource: { uid: 'old' } },
    { refId: 'C', expr: 'down', hide: true },
  ],
};

it('queries go along to another source of the same kind', () => {
  const datasource = { type: 'prometheus', uid: 'new' };
  expect(withSource(panel, datasource, false)).toEqual({
    datasource,
    targets: [
      { refId: 'A', expr: 'up', datasource },
      { refId: 'C', expr: 'down', hide: true, datasource },
    ],
  });
  expect(withSource(panel, undefined, false).targets?.[0]).toEqual({ refId: 'A', expr: 'up' });
});

it('a source that speaks another language begins with an empty query', () => {
  const datasource = { type: 'loki', uid: 'logs' };
  expect(withSource(panel, datasource, true)).toEqual({
    datasource,
    targets: [{ refId: 'A', expr: '', legendFormat: '__auto', datasource }],
  });
});

it('with several sources each query keeps its own', () => {
  const datasource = { type: 'datasource', uid: '-- Mixed --' };
  expect(withSource(panel, datasource, true)).toEqual({ datasource, targets: panel.targets });
  const before = { type: 'loki', uid: 'logs' };
  const [first, second] = panel.targets ?? [];
  const targets = [first, { ...second, datasource: before }];
  expect(withSource({ ...panel, datasource: before }, datasource, true)).toEqual({ datasource, targets });
  // To choose it again changes nothing.
  expect(withSource({ ...panel, datasource }, datasource, false)).toEqual({
    datasource,
    targets: panel.targets,
  });
});

it('of several sources, one that speaks another language begins with an empty query', () => {
  const datasource = { type: 'loki', uid: 'logs' };
  expect(emptied({ refId: 'B', expr: 'up', format: 'table', hide: true, datasource })).toEqual({
    refId: 'B',
    expr: '',
    legendFormat: '__auto',
    hide: true,
    datasource,
  });
});
