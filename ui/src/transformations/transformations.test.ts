import { FieldType, toDataFrame, transformDataFrame, type DataFrame } from '@grafana/data';
import { lastValueFrom } from 'rxjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { initRegistries } from '~/grafana-host/registries';
import { conformanceDashboards } from '~/test';
import { loadDashboard } from '~/dashboard/load';
import { allPanels } from '~/dashboard/model';

beforeAll(initRegistries);

const run = (id: string, options: object, frames: DataFrame[]) =>
  lastValueFrom(transformDataFrame([{ id, options }], frames));
const plain = (frames: DataFrame[]) =>
  frames.map(({ fields }) => Object.fromEntries(fields.map(({ name, values }) => [name, values])));
const series = (labels: Record<string, string>, values: number[], refId = 'A') =>
  toDataFrame({
    refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: values.map((_, index) => index * 1000) },
      { name: 'Value', type: FieldType.number, labels, values },
    ],
  });
const table = (fields: Record<string, unknown[]>) =>
  toDataFrame({ fields: Object.entries(fields).map(([name, values]) => ({ name, values })) });

describe('own transformations', () => {
  it('extract fields from JSON, pairs and by expressions', async () => {
    const lines = table({ line: ['{"a": 1, "b": {"c": "x"}}', 'level=info took=3 msg="it \\"is\\""'] });
    expect(plain(await run('extractFields', { source: 'line', replace: true }, [lines]))).toEqual([
      {
        a: [1, undefined],
        b: [{ c: 'x' }, undefined],
        level: [undefined, 'info'],
        took: [undefined, 3],
        msg: [undefined, 'it \\"is\\"'],
      },
    ]);
    const paths = { source: 'line', format: 'json', replace: true, jsonPaths: [{ path: 'b.c', alias: 'c' }] };
    expect(plain(await run('extractFields', paths, [lines]))).toEqual([{ c: ['x', undefined] }]);
    const byExpression = { source: 'line', format: 'regexp', replace: true, regExp: '/took=(?<took>\\d+)/' };
    expect(plain(await run('extractFields', byExpression, [lines]))).toEqual([{ took: [undefined, '3'] }]);
  });

  it('make rows fields', async () => {
    const rows = table({ name: ['a', 'b'], value: [1, 2] });
    expect(plain(await run('rowsToFields', {}, [rows]))).toEqual([{ a: [1], b: [2] }]);
  });

  it('take the look of fields from a query', async () => {
    const config = toDataFrame({
      refId: 'config',
      fields: [{ name: 'Max', type: FieldType.number, values: [80] }],
    });
    const [frame, ...rest] = await run('configFromData', { configRefId: 'config' }, [
      config,
      series({}, [1]),
    ]);
    expect(rest).toEqual([]);
    expect(frame?.fields[1]?.config.max).toBe(80);
  });

  it('partition by values', async () => {
    const rows = table({ pod: ['a', 'b', 'a'], value: [1, 2, 3] });
    const parts = await run('partitionByValues', { fields: ['pod'] }, [rows]);
    expect(parts.map(({ name }) => name)).toEqual(['a', 'b']);
    expect(plain(parts)).toEqual([{ value: [1, 3] }, { value: [2] }]);
  });

  it('join by labels', async () => {
    const all = [
      series({ pod: 'a', kind: 'cpu' }, [1, 2]),
      series({ pod: 'a', kind: 'mem' }, [3]),
      series({ pod: 'b', kind: 'cpu' }, [4]),
    ];
    expect(plain(await run('joinByLabels', { value: 'kind' }, all))).toEqual([
      { pod: ['a', 'b'], cpu: [2, 4], mem: [3, undefined] },
    ]);
  });

  it('prepare series', async () => {
    const all = [series({ pod: 'a' }, [1, 2]), series({ pod: 'b' }, [3])];
    const [long] = plain(await run('prepareTimeSeries', { format: 'long' }, all));
    expect(long).toEqual({ Time: [0, 0, 1000], pod: ['a', 'b', 'a'], Value: [1, 3, 2] });
    const [wide] = await run('prepareTimeSeries', { format: 'wide' }, all);
    expect(wide?.fields.map(({ values }) => values)).toEqual([[0, 1000], [1, 2], [3, undefined]]); // prettier-ignore
  });

  it('make a table of series', async () => {
    const [made] = await run('timeSeriesTable', { A: { stat: 'max' } }, [
      series({ pod: 'a' }, [5, 2]),
      series({ pod: 'b' }, [1]),
    ]);
    expect(made?.fields[0]?.values).toEqual(['a', 'b']);
    expect(made?.fields[1]?.values.map(({ value }: { value: number }) => value)).toEqual([5, 1]);
  });
});

it('every transformation of the conformance dashboards is known', async () => {
  const dashboards = conformanceDashboards().map(({ json }) => loadDashboard(json));
  const used = dashboards
    .flatMap(({ panels }) => [...allPanels(panels)])
    .flatMap(({ transformations = [] }) => transformations);
  for (const { id, options } of used) {
    await expect(
      run(id, options as object, [series({ pod: 'a', namespace: 'n', container: 'c' }, [1])]),
    ).resolves.toBeDefined();
  }
});
