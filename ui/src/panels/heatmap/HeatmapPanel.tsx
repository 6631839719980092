import { dateTimeFormat, formattedValueToString, getValueFormat, type PanelProps } from '@grafana/data';
import { useTheme2 } from '@grafana/ui';
import { useLayoutEffect, useMemo, useRef, useState, type MouseEvent } from 'react';
import { BottomAxis, LeftAxis, labelWidth } from '../shared/Axes';
import { Hover } from '../shared/Hover';
import { NoData } from '../shared/NoData';
import { TimeBrush } from '../shared/TimeBrush';
import { position, ticks, timeTicks, valueAt, type Scale, type Tick } from '../shared/scale';
import { heatmap, type Calculation, type Cell, type Heatmap } from './cells';
import { colorScale, type ColorOptions } from './colors';

interface HeatmapOptions {
  calculate: boolean;
  calculation: Calculation;
  color: ColorOptions;
  cellGap: number;
  cellRadius?: number;
  cellValues: { unit?: string; decimals?: number };
  filterValues: { le?: number; ge?: number };
  yAxis: {
    axisPlacement?: string;
    reverse?: boolean;
    unit?: string;
    decimals?: number;
    min?: number;
    max?: number;
  };
  legend: { show: boolean };
  tooltip: { mode: string };
}

export const HEATMAP_OPTIONS: HeatmapOptions = {
  calculate: false,
  calculation: {},
  color: { mode: 'scheme', scheme: 'Oranges', fill: 'dark-orange', exponent: 0.5, steps: 64, reverse: false },
  cellGap: 1,
  cellValues: {},
  filterValues: { le: 1e-9 },
  yAxis: { axisPlacement: 'left' },
  legend: { show: true },
  tooltip: { mode: 'single' },
};

export function HeatmapPanel(props: PanelProps<HeatmapOptions>) {
  const { data, options, fieldConfig } = props;
  const { calculate, calculation, filterValues } = options;
  const map = useMemo(() => {
    const found = heatmap(data.series, calculate, calculation);
    const isShown = ({ count }: Cell) =>
      !(count <= (filterValues.le ?? -Infinity)) && !(count >= (filterValues.ge ?? Infinity));
    return found && { ...found, cells: found.cells.filter(isShown) };
  }, [data.series, calculate, calculation, filterValues.le, filterValues.ge]);
  if (!map?.cells.length) return <NoData message={fieldConfig.defaults.noValue} />;
  return <Drawing {...props} map={map} />;
}

const AXIS_ROOM = 22;
const LEGEND_ROOM = 24;

function Drawing({
  map,
  options,
  width,
  height,
  timeRange,
  timeZone,
  fieldConfig,
  onChangeTimeRange,
}: PanelProps<HeatmapOptions> & { map: Heatmap }) {
  const theme = useTheme2();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [hovered, setHovered] = useState<{ cell: Cell; x: number; y: number }>();
  const [least, greatest] = extent(map.cells.map(({ count }) => count));
  const color = colorScale(
    options.color,
    least,
    greatest,
    theme.visualization.getColorByName(options.color.fill),
    theme.isDark,
  );
  const marks = yMarks(map, options, height, fieldConfig.defaults.unit);
  const left = options.yAxis.axisPlacement === 'hidden' ? 8 : labelWidth(marks.map(({ label }) => label));
  const bottom = height - AXIS_ROOM - (options.legend.show ? LEGEND_ROOM : 0);
  const x: Scale = { min: timeRange.from.valueOf(), max: timeRange.to.valueOf(), from: left, to: width };
  const y = yScale(map, options, bottom);

  useLayoutEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (context) paint(context, map.cells, { x, y, width, height: bottom, gap: options.cellGap, color });
  });

  const find = ({ clientX, clientY, currentTarget }: MouseEvent<HTMLCanvasElement>) => {
    const box = currentTarget.getBoundingClientRect();
    const [time, value] = [valueAt(x, clientX - box.left), valueAt(y, clientY - box.top)];
    const cell = map.cells.find(
      ({ fromMs, toMs, low, high }) => time > fromMs && time <= toMs && value >= low && value < high,
    );
    setHovered(cell && { cell, x: clientX, y: clientY });
  };

  return (
    <TimeBrush scale={x} bottom={bottom} onChangeTimeRange={onChangeTimeRange}>
      <svg width={width} height={height} style={{ display: 'block' }}>
        <BottomAxis
          scale={x}
          ticks={timeTicks(x.min, x.max, (width - left) / 90, timeZone)}
          across={{ from: 0, to: bottom }}
          grid={false}
        />
        {left > 8 && <LeftAxis scale={y} ticks={marks} across={{ from: left, to: width }} grid={false} />}
        {options.legend.show && (
          <Ramp color={color} least={least} greatest={greatest} left={left} top={height - LEGEND_ROOM + 6} />
        )}
      </svg>
      <canvas
        ref={canvas}
        width={width * devicePixelRatio}
        height={bottom * devicePixelRatio}
        style={{ height: bottom, left: 0, position: 'absolute', top: 0, width }}
        role="img"
        aria-label="Heatmap"
        onMouseMove={find}
        onMouseLeave={() => setHovered(undefined)}
      />
      <Hover at={options.tooltip.mode === 'none' ? undefined : hovered}>
        {hovered && <About cell={hovered.cell} map={map} options={options} timeZone={timeZone} />}
      </Hover>
    </TimeBrush>
  );
}

function extent(values: number[]): [number, number] {
  let [least, greatest] = [Infinity, -Infinity];
  for (const value of values) {
    least = Math.min(least, value);
    greatest = Math.max(greatest, value);
  }
  return [least, greatest];
}

function yScale({ cells, rows }: Heatmap, { yAxis }: HeatmapOptions, bottom: number): Scale {
  const min = yAxis.min ?? (rows ? 0 : extent(cells.map(({ low }) => low))[0]);
  const max = yAxis.max ?? (rows ? rows.length : extent(cells.map(({ high }) => high))[1]);
  return yAxis.reverse ? { min, max, from: 0, to: bottom } : { min, max, from: bottom, to: 8 };
}

function yMarks(
  map: Heatmap,
  { yAxis }: HeatmapOptions,
  height: number,
  fieldUnit: string | undefined,
): Tick[] {
  const format = getValueFormat(yAxis.unit ?? fieldUnit ?? 'short');
  const write = (value: number) => formattedValueToString(format(value, yAxis.decimals));
  if (map.rows) {
    const every = Math.max(1, Math.ceil(map.rows.length / (height / 20)));
    const label = (name: string) =>
      Number.isFinite(Number(name)) && name !== '' ? write(Number(name)) : name;
    // A row is named by its upper bound, which is where it ends.
    return map.rows
      .map((name, row) => ({ value: row + 1, label: label(name) }))
      .filter((_, row) => row % every === 0);
  }
  const scale = yScale(map, { yAxis } as HeatmapOptions, height);
  return ticks(scale.min, scale.max, height / 40).map((value) => ({ value, label: write(value) }));
}

interface Brush {
  x: Scale;
  y: Scale;
  width: number;
  height: number;
  gap: number;
  color: (count: number) => string;
}

function paint(
  context: CanvasRenderingContext2D,
  cells: Cell[],
  { x, y, width, height, gap, color }: Brush,
): void {
  context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.save();
  context.beginPath();
  context.rect(Math.min(x.from, x.to), 0, width, height);
  context.clip();
  for (const { fromMs, toMs, low, high, count } of cells) {
    const [left, right] = [position(x, fromMs), position(x, toMs)];
    const [top, bottom] = [position(y, low), position(y, high)].sort((a, b) => a - b) as [number, number];
    context.fillStyle = color(count);
    context.fillRect(
      left + gap / 2,
      top + gap / 2,
      Math.max(1, right - left - gap),
      Math.max(1, bottom - top - gap),
    );
  }
  context.restore();
}

const RAMP = { steps: 40, width: 200, height: 8 };

function Ramp({
  color,
  least,
  greatest,
  left,
  top,
}: {
  color: (count: number) => string;
  least: number;
  greatest: number;
  left: number;
  top: number;
}) {
  const theme = useTheme2();
  const write = (value: number) => formattedValueToString(getValueFormat('short')(value));
  return (
    <g fontSize={11} fill={theme.colors.text.secondary}>
      {Array.from({ length: RAMP.steps }, (_, step) => (
        <rect
          key={step}
          x={left + (step * RAMP.width) / RAMP.steps}
          y={top}
          width={RAMP.width / RAMP.steps}
          height={RAMP.height}
          fill={color(least + ((greatest - least) * step) / (RAMP.steps - 1))}
        />
      ))}
      <text x={left + RAMP.width + 8} y={top + 9}>
        {write(least)} to {write(greatest)}
      </text>
    </g>
  );
}

interface AboutProps {
  cell: Cell;
  map: Heatmap;
  options: HeatmapOptions;
  timeZone: string;
}

function About({ cell, map: { rows }, options, timeZone }: AboutProps) {
  const format = getValueFormat(options.yAxis.unit ?? 'short');
  const write = (value: number) => formattedValueToString(format(value));
  const count = formattedValueToString(
    getValueFormat(options.cellValues.unit ?? 'short')(cell.count, options.cellValues.decimals),
  );
  const name = rows ? `up to ${rows[cell.low] ?? ''}` : `${write(cell.low)} to ${write(cell.high)}`;
  return (
    <>
      <div>
        {dateTimeFormat(cell.fromMs, { timeZone })} to {dateTimeFormat(cell.toMs, { timeZone })}
      </div>
      <strong>{count}</strong> {name}
    </>
  );
}
