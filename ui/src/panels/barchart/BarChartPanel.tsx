import {
  FieldType,
  dateTimeFormat,
  formattedValueToString,
  getFieldDisplayName,
  type DataFrame,
  type Field,
  type PanelProps,
} from '@grafana/data';
import { LegendDisplayMode, type VizLegendOptions } from '@grafana/schema';
import { useTheme2 } from '@grafana/ui';
import { useState } from 'react';
import { LeftAxis, labelWidth } from '../shared/Axes';
import { Hover } from '../shared/Hover';
import { NoData } from '../shared/NoData';
import { WithLegend } from '../shared/WithLegend';
import { position, ticks, type Scale } from '../shared/scale';

interface BarOptions {
  xField?: string;
  orientation: 'auto' | 'horizontal' | 'vertical';
  stacking: 'none' | 'normal' | 'percent';
  showValue: 'auto' | 'always' | 'never';
  groupWidth: number;
  barWidth: number;
  barRadius: number;
  xTickLabelRotation: number;
  xTickLabelMaxLength?: number;
  legend: VizLegendOptions;
  tooltip: { mode: string };
}

export const BAR_OPTIONS: BarOptions = {
  orientation: 'auto',
  stacking: 'none',
  showValue: 'auto',
  groupWidth: 0.7,
  barWidth: 0.97,
  barRadius: 0,
  xTickLabelRotation: 0,
  legend: { showLegend: true, displayMode: LegendDisplayMode.List, placement: 'bottom', calcs: [] },
  tooltip: { mode: 'single' },
};

export const BAR_FIELD_OPTIONS = {
  lineWidth: 1,
  fillOpacity: 80,
  gradientMode: 'none',
  axisPlacement: 'auto',
  axisLabel: '',
  axisSoftMin: undefined,
  axisSoftMax: undefined,
  hideFrom: { tooltip: false, viz: false, legend: false },
};

interface Series {
  field: Field;
  name: string;
  color: string;
}

interface Chart {
  categories: string[];
  series: Series[];
}

const LABEL_ROOM = 22;
const LABEL_LENGTH_MAX = 24;

export function BarChartPanel({
  data,
  width,
  height,
  options,
  fieldConfig,
  timeZone,
}: PanelProps<BarOptions>) {
  const theme = useTheme2();
  const frame = data.series[0];
  const chart =
    frame &&
    read(
      frame,
      options,
      timeZone,
      (index) => theme.visualization.palette[index % theme.visualization.palette.length] ?? 'gray',
    );
  if (!chart?.series.length || !chart.categories.length)
    return <NoData message={fieldConfig.defaults.noValue ?? 'No bars to show'} />;
  const items = chart.series.map(({ name, color }) => ({
    label: name,
    color: theme.visualization.getColorByName(color),
    yAxis: 1,
  }));
  return (
    <WithLegend width={width} height={height} legend={options.legend} items={items}>
      {(innerWidth, innerHeight) => (
        <Bars chart={chart} width={innerWidth} height={innerHeight} options={options} />
      )}
    </WithLegend>
  );
}

/** The first text or time names the bars; each number is a series of them. */
function read(
  frame: DataFrame,
  { xField }: BarOptions,
  timeZone: string,
  paletteColor: (index: number) => string,
): Chart {
  const x =
    frame.fields.find((field) => field.name === xField || getFieldDisplayName(field, frame) === xField) ??
    frame.fields.find(({ type }) => type === FieldType.string) ??
    frame.fields.find(({ type }) => type === FieldType.time);
  const numbers = frame.fields.filter((field) => field !== x && field.type === FieldType.number);
  const series = numbers
    .filter(({ config }) => !(config.custom as { hideFrom?: { viz?: boolean } } | undefined)?.hideFrom?.viz)
    .map((field, index) => ({
      field,
      name: getFieldDisplayName(field, frame),
      color:
        field.state?.seriesIndex === undefined
          ? paletteColor(index)
          : (field.display?.(1).color ?? paletteColor(index)),
    }));
  const categories = Array.from({ length: frame.length }, (_, row) => {
    const value: unknown = x?.values[row];
    return x?.type === FieldType.time
      ? dateTimeFormat(Number(value), { timeZone })
      : String(value ?? row + 1);
  });
  return { categories, series };
}

interface BarsProps {
  chart: Chart;
  width: number;
  height: number;
  options: BarOptions;
}

interface Bar {
  series: Series;
  row: number;
  value: number;
  /** Of the whole height, from zero or from the bar it stands on. */
  from: number;
  to: number;
}

function bars({ series, categories }: Chart, stacking: BarOptions['stacking']): Bar[][] {
  return categories.map((_, row) => {
    const values = series.map(({ field }) => Number(field.values[row] ?? 0) || 0);
    const total = values.reduce((sum, value) => sum + Math.abs(value), 0) || 1;
    let base = 0;
    return series.map((each, index) => {
      const value = values[index] ?? 0;
      const drawn = stacking === 'percent' ? value / total : value;
      const from = stacking === 'none' ? 0 : base;
      base += stacking === 'none' ? 0 : drawn;
      return { series: each, row, value, from, to: from + drawn };
    });
  });
}

function Bars({ chart, width, height, options }: BarsProps) {
  const theme = useTheme2();
  const [hovered, setHovered] = useState<{ bar: Bar; x: number; y: number }>();
  const isHorizontal = options.orientation === 'horizontal';
  const groups = bars(chart, options.stacking);
  const ends = groups.flat().flatMap(({ from, to }) => [from, to]);
  const [min, max] = [Math.min(0, ...ends), Math.max(0, ...ends) || 1];
  const display = chart.series[0]?.field.display;
  const write = (value: number) =>
    options.stacking === 'percent'
      ? `${Math.round(value * 100)}%`
      : display
        ? formattedValueToString(display(value))
        : String(value);
  const marks = ticks(min, max, (isHorizontal ? width : height) / 60).map((value) => ({
    value,
    label: write(value),
  }));
  const names = chart.categories.map((name) =>
    name.slice(0, options.xTickLabelMaxLength ?? LABEL_LENGTH_MAX),
  );
  const left = isHorizontal ? labelWidth(names) : labelWidth(marks.map(({ label }) => label));
  const bottom = height - LABEL_ROOM;
  const values: Scale = isHorizontal
    ? { min, max, from: left, to: width - 8 }
    : { min, max, from: bottom, to: 8 };
  const pitch = (isHorizontal ? bottom : width - left) / chart.categories.length;
  const across = options.stacking === 'none' ? chart.series.length : 1;
  const breadth = (pitch * options.groupWidth) / across;
  // Names that would run into each other are left out evenly.
  const every = Math.max(1, Math.ceil((Math.max(...names.map((name) => name.length)) * 7 + 8) / pitch));
  return (
    <>
      <svg width={width} height={height} role="img" aria-label="Bar chart">
        {!isHorizontal && <LeftAxis scale={values} ticks={marks} across={{ from: left, to: width }} />}
        {groups.map((group, row) => {
          const start = (isHorizontal ? 0 : left) + row * pitch + (pitch * (1 - options.groupWidth)) / 2;
          return (
            <g key={row}>
              {group.map((bar, index) => {
                const at = start + (options.stacking === 'none' ? index * breadth : 0);
                const [a, b] = [position(values, bar.from), position(values, bar.to)];
                const size = {
                  near: Math.min(a, b),
                  length: Math.abs(a - b),
                  thick: breadth * options.barWidth,
                };
                const box = isHorizontal
                  ? { x: size.near, y: at, width: size.length, height: size.thick }
                  : { x: at, y: size.near, width: size.thick, height: size.length };
                return (
                  <rect
                    key={index}
                    {...box}
                    rx={options.barRadius * 10}
                    fill={theme.visualization.getColorByName(bar.series.color)}
                    fillOpacity={
                      ((bar.series.field.config.custom as { fillOpacity?: number } | undefined)
                        ?.fillOpacity ?? 80) / 100
                    }
                    onMouseMove={({ clientX, clientY }) => setHovered({ bar, x: clientX, y: clientY })}
                    onMouseLeave={() => setHovered(undefined)}
                  />
                );
              })}
              {(isHorizontal || row % every === 0) && (
                <text
                  fontSize={12}
                  fill={theme.colors.text.primary}
                  {...(isHorizontal
                    ? { x: left - 6, y: (row + 0.5) * pitch + 4, textAnchor: 'end' as const }
                    : { x: left + (row + 0.5) * pitch, y: bottom + 16, textAnchor: 'middle' as const })}
                >
                  {names[row]}
                </text>
              )}
            </g>
          );
        })}
      </svg>
      <Hover at={hovered}>
        {hovered && (
          <>
            <strong>{chart.categories[hovered.bar.row]}</strong>
            <div>
              {hovered.bar.series.name}: {formattedValue(hovered.bar)}
            </div>
          </>
        )}
      </Hover>
    </>
  );
}

const formattedValue = ({ series, value }: Bar) =>
  series.field.display ? formattedValueToString(series.field.display(value)) : String(value);
