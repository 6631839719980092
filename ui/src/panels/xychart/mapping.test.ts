import { FieldType, toDataFrame, type DataFrame } from '@grafana/data';
import { describe, expect, it } from 'vitest';
import { migrateXy } from './migrate';
import { largestPoint, pointSizes, range, xySeries, type SeriesRule } from './mapping';

const byName = (options: string) => ({ matcher: { id: 'byName', options } });
const byIndex = (options: number) => ({ matcher: { id: 'byIndex', options } });

const number = (name: string, values: unknown[], custom: object = {}) => ({
  name,
  type: FieldType.number,
  values,
  config: { custom },
});

const hosts = toDataFrame({
  refId: 'A',
  name: 'hosts',
  fields: [
    { name: 'host', type: FieldType.string, values: ['a', 'b', 'c'] },
    number('load', [1, 2, 3]),
    number('cores', [4, 8, 16]),
    number('memory', [100, 0, null]),
  ],
});
const disks = toDataFrame({
  refId: 'B',
  name: 'disks',
  fields: [number('size', [10, 20]), number('free', [5, 1])],
});

/** Each series as `name: x against y`, with what its points are as large as, and coloured by. */
const drawn = (
  rules: SeriesRule[],
  frames: DataFrame[] = [hosts, disks],
  mapping: 'auto' | 'manual' = 'manual',
) =>
  xySeries(frames, mapping, rules).map(({ name, x, y, size, color }) =>
    [`${name}: ${x.name} against ${y.name}`, size?.name, color?.name].filter(Boolean).join(', '),
  );

describe('series of an XY chart', () => {
  it('by themselves: the first number of each frame goes along x', () => {
    const all = [
      'hosts cores: load against cores',
      'hosts memory: load against memory',
      'disks free: size against free',
    ];
    expect(drawn([], undefined, 'auto')).toEqual(all);
    expect(drawn([])).toEqual(all);
    expect(drawn([{ x: byName('cores') }, { x: byName('load') }], undefined, 'auto')).toEqual([
      'hosts load: cores against load',
      'hosts memory: cores against memory',
    ]);
  });

  it('by hand: from one frame, by its place, its query or its name', () => {
    const disk = ['disks free: size against free'];
    expect(drawn([{ frame: byIndex(1) }])).toEqual(disk);
    expect(drawn([{ frame: { matcher: { id: 'byRefId', options: 'B' } } }])).toEqual(disk);
    expect(drawn([{ frame: { matcher: { id: 'byName', options: 'disks' } } }])).toEqual(disk);
    expect(drawn([{ frame: byIndex(2) }])).toEqual([]);
  });

  it('by hand: with the fields that are named, and none where they are not', () => {
    expect(drawn([{ x: byName('cores'), y: byName('load'), name: { fixed: 'Busy' } }])).toEqual([
      'Busy: cores against load',
    ]);
    expect(
      drawn([{ frame: byIndex(0), x: byName('load'), size: byName('memory'), color: byName('host') }]),
    ).toEqual(['hosts cores: load against cores, memory, host']);
    expect(drawn([{ y: byName('free') }, { y: byName('cores') }])).toEqual([
      'disks free: size against free',
      'hosts cores: load against cores',
    ]);
    expect(drawn([{ x: byName('host') }])).toEqual([]);
  });

  it('a field that is hidden is not drawn', () => {
    const frame = toDataFrame({
      fields: [number('x', [1]), number('y', [2], { hideFrom: { viz: true } }), number('z', [3])],
    });
    expect(drawn([], [frame])).toEqual(['z: x against z']);
  });
});

it('a range holds all numbers there are', () => {
  expect(range(hosts.fields.slice(1))).toEqual([0, 100]);
  expect(range(hosts.fields.slice(0, 1))).toEqual([0, 1]);
  expect(range(toDataFrame({ fields: [number('x', [7, NaN])] }).fields)).toEqual([6, 8]);
  const many = toDataFrame({
    fields: [
      number(
        'x',
        Array.from({ length: 500_000 }, (_, index) => index),
      ),
    ],
  });
  expect(range(many.fields)).toEqual([0, 499_999]);
});

it('points have areas that are to each other as their values', () => {
  const size = pointSizes(hosts.fields[3], { pointSize: { fixed: 7, min: 0, max: 20 } });
  expect([size(0), size(1), size(2)]).toEqual([20, 0, 7]);
  const half = pointSizes(sizes([0, 50, 100]), { pointSize: { min: 0, max: 20 } });
  expect(half(1) ** 2).toBeCloseTo(half(2) ** 2 / 2);
  expect(pointSizes(undefined, { pointSize: { fixed: 7 } })(0)).toBe(7);
  expect(pointSizes(undefined, {})(0)).toBe(5);
});

function sizes(values: number[]) {
  return toDataFrame({ fields: [number('x', values)] }).fields[0];
}

it('room is left for the largest point', () => {
  const most = (custom: object, size = false) => {
    const [x, y] = toDataFrame({ fields: [number('x', [1]), number('y', [2], custom)] }).fields;
    return x && y && largestPoint({ name: '', x, y, ...(size ? { size: x } : {}) });
  };
  expect(most({})).toBe(5);
  expect(most({ pointSize: { fixed: 9, max: 30 } })).toBe(9);
  expect(most({ pointSize: { fixed: 9, max: 30 } }, true)).toBe(30);
  expect(most({ show: 'lines', pointSize: { fixed: 9 } })).toBe(0);
});

it('options that name fields become those that match them', () => {
  const migrated = (options: object) => migrateXy({ options } as never);
  const legend = { showLegend: false };
  const series = [
    {
      x: 'load',
      y: 'cores',
      name: 'Cores',
      frame: 0,
      pointColor: { fixed: 'red' },
      pointSize: { field: 'memory' },
    },
    { y: 'free', pointColor: { field: 'size' } },
  ];
  expect(migrated({ seriesMapping: 'manual', dims: { frame: 0 }, series, legend })).toEqual({
    mapping: 'manual',
    legend,
    series: [
      {
        frame: byIndex(0),
        x: byName('load'),
        y: byName('cores'),
        size: byName('memory'),
        name: { fixed: 'Cores' },
      },
      { y: byName('free'), color: byName('size') },
    ],
  });
  const auto = migrated({ seriesMapping: 'auto', dims: { x: 'cores', exclude: ['memory'] }, series });
  expect(drawn(auto.series ?? [], [hosts], auto.mapping)).toEqual(['load: cores against load']);
  const current = { mapping: 'auto', series: [], legend };
  expect(migrated(current)).toBe(current);
});
