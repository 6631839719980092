import { FieldType, toDataFrame } from '@grafana/data';
import { expect, it } from 'vitest';
import { heatmap } from './heatmap/cells';
import { histogram } from './histogram/buckets';
import { position, ticks, timeTicks, valueAt } from './shared/scale';
import { stateRows } from './state/spans';
import { graphable } from './timeseries/graphable';

const series = (values: unknown[], name = 'Value', stepMs = 1000) =>
  toDataFrame({
    fields: [
      { name: 'Time', type: FieldType.time, values: values.map((_, index) => index * stepMs) },
      { name, type: FieldType.number, values },
    ],
  });

it('scales lead both ways', () => {
  const scale = { min: 0, max: 10, from: 100, to: 0 };
  expect(position(scale, 2.5)).toBe(75);
  expect(valueAt(scale, 75)).toBe(2.5);
});

it.each([
  [0, 10, 5, [0, 2, 4, 6, 8, 10]],
  [0, 0.3, 3, [0, 0.1, 0.2, 0.30000000000000004]],
  [5, 5, 3, [5]],
])('ticks from %d to %d', (min, max, count, expected) => {
  expect(ticks(min, max, count)).toEqual(expected);
});

it('ticks of time are on round times', () => {
  const labels = timeTicks(0, 3_600_000, 4, 'utc').map(({ label }) => label);
  expect(labels).toEqual(['00:00', '00:15', '00:30', '00:45', '01:00']);
});

it('states that last are one span, and end where nothing is known', () => {
  const [row] = stateRows({ frames: [series([1, 1, null, 0, 1])], toMs: 6000, merge: true });
  expect(row?.spans.map(({ fromMs, toMs, text }) => [fromMs, toMs, text])).toEqual([
    [0, 2000, '1'],
    [3000, 4000, '0'],
    [4000, 6000, '1'],
  ]);
});

it('a state of which no more samples come is not known to last', () => {
  const frame = series([1, 1, 1]);
  const [time] = frame.fields;
  if (time) {
    time.config = { interval: 1000 };
    time.values = [0, 1000, 7000];
  }
  const [row] = stateRows({ frames: [frame], toMs: 20_000, merge: true });
  expect(row?.spans.map(({ fromMs, toMs }) => [fromMs, toMs])).toEqual([
    [0, 2000],
    [7000, 8000],
  ]);
});

it('no line is drawn where steps are missing, in any of several series', () => {
  const stepped = (values: number[]) => {
    const frame = series(values);
    const [time] = frame.fields;
    if (time) {
      time.config = { interval: 1000 };
      time.values = [0, 1000, 4000];
    }
    return frame;
  };
  const frames = graphable([stepped([1, 2, 3]), stepped([4, 5, 6])]);
  expect(frames?.map(({ fields }) => fields[1]?.values)).toEqual([
    [1, 2, null, null, 3],
    [4, 5, null, null, 6],
  ]);
});

it('samples of a status history are each a span around their time', () => {
  const [row] = stateRows({ frames: [series([1, 1])], toMs: 6000, merge: false });
  expect(row?.spans.map(({ fromMs, toMs }) => [fromMs, toMs])).toEqual([
    [-500, 500],
    [500, 1500],
  ]);
});

it('buckets of a heatmap are in the order of their bounds', () => {
  const map = heatmap([series([3], '+Inf'), series([1], '0.5'), series([2], '1')], false, {});
  expect(map?.rows).toEqual(['0.5', '1', '+Inf']);
  expect(map?.cells.map(({ low, count }) => [low, count])).toEqual([
    [0, 1],
    [1, 2],
    [2, 3],
  ]);
});

it('values of a heatmap are counted', () => {
  const map = heatmap([series([1, 1, 9, 11])], true, {
    xBuckets: { mode: 'size', value: '2000' },
    yBuckets: { mode: 'size', value: '10' },
  });
  expect(map?.cells.map(({ fromMs, low, count }) => [fromMs, low, count])).toEqual([
    [0, 0, 2],
    [2000, 0, 1],
    [2000, 10, 1],
  ]);
});

it('a histogram counts each value once, the greatest too', () => {
  const found = histogram([series([0, 1, 2, 3, 10, NaN])], { bucketSize: 5 });
  expect(found?.bounds).toEqual([0, 5, 10, 15]);
  expect(found?.series[0]?.counts).toEqual([4, 0, 1]);
  expect(histogram([series([])], {})).toBeUndefined();
});

it('a graph draws finite numbers in the order of time', () => {
  const frame = toDataFrame({
    fields: [
      { name: 'Time', type: FieldType.time, values: [2000, 1000] },
      { name: 'Up', type: FieldType.boolean, values: [true, false] },
      { name: 'Value', type: FieldType.number, values: [Infinity, 1] },
      { name: 'Text', type: FieldType.string, values: ['a', 'b'] },
    ],
  });
  expect(graphable([frame])?.[0]?.fields.map(({ name, values }) => [name, values])).toEqual([
    ['Time', [1000, 2000]],
    ['Up', [0, 1]],
    ['Value', [1, null]],
  ]);
  expect(graphable([toDataFrame({ fields: [] })])).toBeUndefined();
});
