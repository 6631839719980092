/** What the panels that draw by themselves make of frames. */
import { FieldType, createTheme, toDataFrame, type FieldDisplay } from '@grafana/data';
import { describe, expect, it } from 'vitest';
import { barsOf, bounds, readChart } from './barchart/chart';
import { colorScale } from './heatmap/colors';
import { sliced } from './piechart/PiePanel';
import { readable } from './shared/GraphTooltip';
import { toldRows, type HoverRow } from './shared/HoverRows';
import { brushed } from './shared/TimeBrush';
import { legendItems } from './shared/legendItems';
import { niceBounds } from './shared/scale';

const THEME = createTheme();
const hidden = { custom: { hideFrom: { viz: true, legend: false, tooltip: true } } };

const series = (name: string, values: (number | null)[], config: object = {}) =>
  toDataFrame({
    fields: [
      { name: 'Time', type: FieldType.time, values: values.map((_, index) => index * 60_000) },
      { name, type: FieldType.number, values, config },
    ],
  });

const chartOf = (...frames: ReturnType<typeof series>[]) => {
  const chart = readChart(frames, { timeZone: 'utc' }, THEME);
  if (!chart) throw new Error('there is a chart');
  return chart;
};

describe('bar charts', () => {
  it('put series over time side by side', () => {
    const chart = chartOf(series('a', [1, 2]), series('b', [3, 4]));
    expect(chart.categories).toEqual(['1970-01-01 00:00:00', '1970-01-01 00:01:00']);
    expect(chart.series.map(({ name }) => name)).toEqual(['a', 'b']);
    expect(barsOf(chart, 'none').map((group) => group.map(({ value }) => value))).toEqual([
      [1, 3],
      [2, 4],
    ]);
  });

  it('draw nothing of what is hidden or has no value, and stack what is negative downwards', () => {
    const chart = chartOf(series('a', [1, null]), series('b', [-2, 2]), series('c', [3, 3], hidden));
    const groups = barsOf(chart, 'normal');
    expect(groups.map((group) => group.map(({ from, to }) => [from, to]))).toEqual([
      [
        [0, 1],
        [0, -2],
      ],
      [[0, 2]],
    ]);
    expect(bounds(groups.flat())).toEqual({ min: -2, max: 2 });
  });

  it('end where their field says', () => {
    const chart = chartOf(series('a', [1, 2], { min: 0.5, max: 10 }));
    expect(bounds(barsOf(chart, 'none').flat())).toEqual({ min: 0.5, max: 10 });
    const soft = chartOf(series('a', [1, 2], { custom: { axisSoftMin: -1, axisSoftMax: 1 } }));
    expect(bounds(barsOf(soft, 'none').flat())).toEqual({ min: -1, max: 2 });
  });

  it('begin and end at round values', () => {
    expect(niceBounds(0, 93, 4)).toEqual({ min: 0, max: 100 });
    expect(niceBounds(0, 100, 4).max).toBeGreaterThan(100);
  });
});

it('legends keep what is hidden, to be shown again, and work out what is asked for', () => {
  const fields = [series('a', [1, 2, null]), series('b', [3, 4], hidden)].map(
    ({ fields: [, field] }) => field,
  );
  const named = fields.flatMap((field, index) =>
    field ? [{ field, name: `series ${index}`, color: 'red' }] : [],
  );
  const items = legendItems(named, { calcs: ['lastNotNull', 'count'] }, THEME);
  expect(items.map(({ label, disabled }) => [label, disabled])).toEqual([
    ['series 0', false],
    ['series 1', true],
  ]);
  expect(items[0]?.getDisplayValues?.().map(({ title, text }) => [title, text])).toEqual([
    ['Last *', '2'],
    ['Count', '2'],
  ]);
});

it('slices are parts of what is shown', () => {
  const value = (numeric: number, field = {}) => ({ display: { numeric }, field }) as unknown as FieldDisplay;
  const shares = sliced([value(1), value(3), value(4, hidden)], 'desc').map(({ share }) => share);
  expect(shares).toEqual([0.75, 0.25]);
});

it('tooltips tell what is asked for, in order', () => {
  const row = (name: string, value: number, isMeant = false): HoverRow => ({ name, value, isMeant, color: '', text: '' }); // prettier-ignore
  const rows = [row('a', 1), row('b', 0, true), row('c', 2)];
  const names = (options: object) => toldRows(rows, options).map(({ name }) => name);
  expect(names({ mode: 'single' })).toEqual(['b']);
  expect(names({ mode: 'multi', sort: 'desc' })).toEqual(['c', 'a', 'b']);
  expect(names({ mode: 'multi', sort: 'none', hideZeros: true })).toEqual(['a', 'c']);
  expect(names({ mode: 'none' })).toEqual([]);
});

it('of very many series a tooltip tells the first, what is pointed at, and how many there are besides', () => {
  const items = Array.from({ length: 1000 }, (_, index) => ({
    label: `${index}`,
    value: '1',
    isActive: index === 700,
  }));
  const labels = readable(items as never).map(({ label }) => label);
  expect(labels.slice(0, 2)).toEqual(['0', '1']);
  expect(labels.slice(-2)).toEqual(['700', '960 more']);
  expect(readable(items.slice(0, 40) as never)).toHaveLength(40);
});

it('a part of a time is drawn up in either direction, and ends with what is shown', () => {
  const scale = { min: 1000, max: 2000, from: 100, to: 200 };
  expect(brushed(scale, 120, 180)).toEqual({ from: 1200, to: 1800 });
  expect(brushed(scale, 180, 20)).toEqual({ from: 1000, to: 1800 });
  expect(brushed(scale, 150, 152)).toBeUndefined();
});

describe('colours of heatmaps', () => {
  const light = (color: string) =>
    (/^#/.test(color) ? [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16)) : color.match(/\d+/g))
      ?.map(Number)
      .reduce((sum, part) => sum + part, 0) ?? NaN;
  const scale = (scheme: string, isDark: boolean, reverse = false) =>
    colorScale({ mode: 'scheme', scheme, fill: '', exponent: 1, reverse }, 0, 1, '', isDark);

  it.each(['Oranges', 'Viridis'])('%s: little lies close to the background, much stands out', (scheme) => {
    const [onDark, onLight] = [scale(scheme, true), scale(scheme, false)];
    expect(light(onDark(0))).toBeLessThan(light(onDark(1)));
    expect(light(onLight(0))).toBeGreaterThan(light(onLight(1)));
    expect(scale(scheme, true, true)(0)).toBe(onDark(1));
  });

  it('much is warm', () => {
    const [, red = 0, , blue = 0] = /rgb\((\d+), (\d+), (\d+)\)/.exec(scale('Spectral', true)(1)) ?? [];
    expect(Number(red)).toBeGreaterThan(Number(blue));
  });
});
