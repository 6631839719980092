import { dateTime, type DataFrame } from '@grafana/data';
import { describe, expect, it } from 'vitest';
import type { QueryData } from '~/api/prometheus';
import { configuredInterval } from './datasource';
import { addFilters } from './filters';
import { toFrames } from './frames';
import { matcherFormat } from './interpolate';
import { aligned, durationMs, durationVariables, step, writeDuration } from './interval';
import { legend } from './legend';
import { parseVariableQuery } from './variables';

const HOUR_MS = 3_600_000;

describe('steps', () => {
  const range = { fromMs: 0, toMs: HOUR_MS };
  it.each([
    // interval of the panel, the query's shortest, factor; step, $__rate_interval
    [2000, 0, 1, 15_000, 60_000],
    [60_000, 0, 1, 60_000, 75_000],
    [2000, 60_000, 1, 60_000, 240_000],
    [30_000, 0, 2, 60_000, 60_000],
    [120_000, 60_000, 1, 120_000, 240_000],
  ])('interval %d, shortest %d, factor %d', (intervalMs, minStepMs, factor, stepMs, rateIntervalMs) => {
    expect(step({ intervalMs, minStepMs, scrapeIntervalMs: 15_000, factor, range })).toEqual({
      stepMs,
      rateIntervalMs,
    });
  });

  it('never ask for more points than a server answers', () => {
    const year = { fromMs: 0, toMs: 365 * 24 * HOUR_MS };
    const { stepMs } = step({
      intervalMs: 1000,
      minStepMs: 1000,
      scrapeIntervalMs: 15_000,
      factor: 1,
      range: year,
    });
    expect(year.toMs / stepMs).toBeLessThanOrEqual(11_000);
  });

  it('begin and end on multiples of the step', () => {
    const at = (ms: number) => dateTime(ms);
    const asked = { from: at(1_000_123), to: at(4_600_999), raw: { from: '', to: '' } };
    expect(aligned(asked, 60_000, 0)).toEqual({ start: 960, end: 4560, step: 60 });
    // Days begin where the user is.
    const day = 24 * HOUR_MS;
    expect(aligned({ ...asked, to: at(3 * day) }, day, 2 * HOUR_MS)).toEqual({
      start: -7200,
      end: 3 * 86_400 - 7200,
      step: 86_400,
    });
  });

  it('are written and read as durations', () => {
    expect([1500, 15_000, 60_000, 90_000, HOUR_MS, 24 * HOUR_MS].map(writeDuration)).toEqual([
      '1500ms',
      '15s',
      '1m',
      '90s',
      '1h',
      '1d',
    ]);
    expect(['1m', '>30s', '', undefined, 'nonsense'].map((text) => durationMs(text))).toEqual([
      60_000, 30_000, 0, 0, 0,
    ]);
  });

  it('give what queries may name', () => {
    const asked = { from: dateTime(0), to: dateTime(HOUR_MS), raw: { from: '', to: '' } };
    const variables = durationVariables(asked, { stepMs: 15_000, rateIntervalMs: 60_000 });
    const values = Object.fromEntries(
      Object.entries(variables).map(([name, variable]) => [name, variable?.value as unknown]),
    );
    expect(values).toEqual({
      __interval: '15s',
      __interval_ms: 15_000,
      __rate_interval: '1m',
      __rate_interval_ms: 60_000,
      __range: '3600s',
      __range_s: 3600,
      __range_ms: HOUR_MS,
    });
  });
});

describe('values of variables', () => {
  const single = { multi: false, includeAll: false } as never;
  const several = { multi: true, includeAll: false } as never;
  it.each([
    ['a.b', single, 'a.b'],
    ['a"b\\c', single, 'a\\"b\\\\c'],
    ['a.b', several, 'a\\\\.b'],
    ['a\\b', several, 'a\\\\\\\\b'],
    [['a.b'], several, 'a\\\\.b'],
    [['a', 'b|c'], several, '(a|b\\\\|c)'],
  ])('%j', (value, variable, expected) => {
    expect(matcherFormat(value, variable)).toBe(expected);
  });
});

describe('names of series', () => {
  const labels = { __name__: 'up', job: 'api', instance: 'a:1' };
  it.each([
    [labels, '{{job}} on {{ instance }}{{none}}', 'api on a:1'],
    [labels, '', 'up{instance="a:1", job="api"}'],
    [labels, undefined, 'up{instance="a:1", job="api"}'],
    [{}, undefined, 'sum(up)'],
    [{}, '__auto', 'sum(up)'],
    [labels, '__auto', undefined],
  ])('%j %s', (of, format, expected) => {
    expect(legend(of, format, 'sum(up)')).toBe(expected);
  });
});

describe('queries of variables', () => {
  it.each([
    ['label_values(job)', { kind: 'label_values', label: 'job' }],
    ['label_values(up{a="b, c"}, job)', { kind: 'label_values', label: 'job', matcher: 'up{a="b, c"}' }],
    ['label_names()', { kind: 'label_names' }],
    ['metrics(node_.*)', { kind: 'metrics', regex: 'node_.*' }],
    ['query_result(topk(5, up))', { kind: 'query_result', expr: 'topk(5, up)' }],
    ['up{job="x"}', { kind: 'series', matcher: 'up{job="x"}' }],
  ])('%s', (text, expected) => {
    expect(parseVariableQuery(text)).toEqual(expected);
  });
});

describe('filters', () => {
  it.each([
    ['up', 'up{job="a"}'],
    ['up{}', 'up{job="a"}'],
    ['up{x="y",}', 'up{x="y",job="a"}'],
    ['sum(rate(a{x="}"}[5m])) / b', 'sum(rate(a{x="}",job="a"}[5m])) / b{job="a"}'],
    ['{__name__="a"}', '{__name__="a",job="a"}'],
  ])('%s', (expr, expected) => {
    expect(addFilters(expr, [{ key: 'job', operator: '=', value: 'a' }])).toBe(expected);
  });

  it('of several values are a regular expression', () => {
    expect(addFilters('up', [{ key: 'job', operator: '=|', value: 'a', values: ['a', 'b'] }])).toBe(
      'up{job=~"a|b"}',
    );
  });
});

describe('frames', () => {
  const query = { refId: 'B', expr: 'up' };
  const plain = ({ fields }: DataFrame) => fields.map(({ name, values }) => [name, values]);
  const matrix: QueryData = {
    resultType: 'matrix',
    result: [{ metric: { job: 'a' }, values: [[1, '1'], [2, 'NaN'], [3, '+Inf']] }],
  }; // prettier-ignore
  const vector: QueryData = {
    resultType: 'vector',
    result: [
      { metric: { job: 'a', le: '0.5' }, value: [1, '1'] },
      { metric: { job: 'b', pod: 'p' }, value: [1, 'NaN'] },
    ],
  };

  it('of a range have a gap where there is no number, and the step', () => {
    const [frame] = toFrames(matrix, { query, expr: 'up', stepMs: 15_000 });
    expect(frame && plain(frame)).toEqual([['Time', [1000, 2000, 3000]], ['Value', [1, null, Infinity]]]); // prettier-ignore
    expect(frame?.fields[0]?.config.interval).toBe(15_000);
    expect(frame?.fields[1]?.labels).toEqual({ job: 'a' });
  });

  it('of a table have a column for each label', () => {
    const [frame] = toFrames(vector, {
      query: { ...query, format: 'table' },
      expr: 'up',
      severalTables: true,
    });
    expect(frame && plain(frame)).toEqual([
      ['Time', [1000, 1000]],
      ['job', ['a', 'b']],
      ['le', [0.5, 0]],
      ['pod', ['', 'p']],
      ['Value #B', [1, NaN]],
    ]);
  });

  it('of a heatmap have what is in each bucket alone', () => {
    const buckets: QueryData = {
      resultType: 'matrix',
      result: [
        { metric: { le: '+Inf' }, values: [[1, '9']] },
        { metric: { le: '1' }, values: [[1, '4']] },
        { metric: { le: '5' }, values: [[1, '7']] },
      ],
    };
    const frames = toFrames(buckets, { query: { ...query, format: 'heatmap' }, expr: 'up', stepMs: 1000 });
    expect(frames.map(({ name, fields }) => [name, fields[1]?.values])).toEqual([
      ['1', [4]],
      ['5', [3]],
      ['+Inf', [2]],
    ]);
  });
});

it('the interval of a configuration is that of all targets, not of one job', () => {
  const yaml =
    'global:\n  evaluation_interval: 1m\n  scrape_interval: 2m\nscrape_configs:\n- scrape_interval: 5s\n';
  expect(configuredInterval(yaml)).toBe('2m');
  expect(configuredInterval('scrape_configs:\n- job_name: a\n  scrape_interval: 5s\n')).toBeUndefined();
});

it('a filter on one of several values matches these and nothing like them', () => {
  const filter = { key: 'a', operator: '=|', value: '', values: ['x.y', '(z)'] };
  expect(addFilters('up', [filter])).toBe(String.raw`up{a=~"x\\.y|\\(z\\)"}`);
});
