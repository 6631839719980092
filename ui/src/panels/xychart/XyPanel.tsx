import { formattedValueToString, type Field, type PanelProps } from '@grafana/data';
import { LegendDisplayMode, type VizLegendOptions } from '@grafana/schema';
import { useTheme2 } from '@grafana/ui';
import { useState } from 'react';
import { BottomAxis, LeftAxis, labelWidth } from '../shared/Axes';
import { Hover } from '../shared/Hover';
import { NoData } from '../shared/NoData';
import { WithLegend } from '../shared/WithLegend';
import { position, ticks, type Scale } from '../shared/scale';
import {
  largestPoint,
  pointSizes,
  range,
  xySeries,
  type Custom,
  type SeriesRule,
  type XySeries,
} from './mapping';

export interface XyOptions {
  mapping: 'auto' | 'manual';
  series: SeriesRule[];
  legend: VizLegendOptions;
  tooltip: { mode: string };
}

export const XY_OPTIONS: XyOptions = {
  mapping: 'auto',
  series: [],
  legend: { showLegend: true, displayMode: LegendDisplayMode.List, placement: 'bottom', calcs: [] },
  tooltip: { mode: 'single' },
};

export const XY_FIELD_OPTIONS = {
  show: 'points',
  pointSize: { fixed: 5 },
  pointShape: 'circle',
  pointStrokeWidth: 1,
  fillOpacity: 50,
  lineWidth: 1,
  lineStyle: undefined,
  axisLabel: '',
  axisPlacement: 'auto',
  hideFrom: { tooltip: false, viz: false, legend: false },
};

/** A series with the colour that it has where its points have none of their own. */
interface Drawn extends XySeries {
  shade: string;
}

const ROOM = 22;

export function XyPanel({ data, width, height, options, fieldConfig }: PanelProps<XyOptions>) {
  const theme = useTheme2();
  const { palette } = theme.visualization;
  const series = xySeries(data.series, options.mapping, options.series ?? []).map((each, index) => ({
    ...each,
    shade: theme.visualization.getColorByName(
      fixedColor(each.y) ?? palette[index % palette.length] ?? 'green',
    ),
  }));
  const items = series
    .filter(({ y }) => !(y.config.custom as Custom | undefined)?.hideFrom?.legend)
    .map(({ name, shade }) => ({ label: name, color: shade, yAxis: 1 }));
  if (!series.length) return <NoData message={fieldConfig.defaults.noValue} />;
  return (
    <WithLegend width={width} height={height} legend={options.legend} items={items}>
      {(innerWidth, innerHeight) => <Plot series={series} width={innerWidth} height={innerHeight} />}
    </WithLegend>
  );
}

const fixedColor = ({ config: { color } }: Field) => (color?.mode === 'fixed' ? color.fixedColor : undefined);

function Plot({ series, width, height }: { series: Drawn[]; width: number; height: number }) {
  const [hovered, setHovered] = useState<{ text: string; x: number; y: number }>();
  const write = (field: Field | undefined, value: number) =>
    field?.display ? formattedValueToString(field.display(value)) : String(value);
  const [xMin, xMax] = range(series.map(({ x }) => x));
  const [yMin, yMax] = range(series.map(({ y }) => y));
  const yMarks = ticks(yMin, yMax, height / 50).map((value) => ({
    value,
    label: write(series[0]?.y, value),
  }));
  const left = labelWidth(yMarks.map(({ label }) => label));
  const bottom = height - ROOM;
  // Points at the edges are seen whole.
  const reach = Math.max(...series.map((each) => largestPoint(each))) / 2 + 2;
  const x: Scale = { min: xMin, max: xMax, from: left + Math.max(8, reach), to: width - Math.max(12, reach) };
  const y: Scale = { min: yMin, max: yMax, from: bottom - Math.max(6, reach), to: Math.max(8, reach) };
  const xMarks = ticks(xMin, xMax, (width - left) / 100).map((value) => ({
    value,
    label: write(series[0]?.x, value),
  }));
  return (
    <>
      <svg width={width} height={height} role="img" aria-label="XY chart">
        <LeftAxis scale={y} ticks={yMarks} across={{ from: left, to: width }} />
        <BottomAxis scale={x} ticks={xMarks} across={{ from: 0, to: bottom }} />
        {series.map((each, index) => (
          <Marks key={index} series={each} scales={{ x, y }} onHover={setHovered} write={write} />
        ))}
      </svg>
      <Hover at={hovered}>{hovered?.text}</Hover>
    </>
  );
}

interface MarksProps {
  series: Drawn;
  scales: { x: Scale; y: Scale };
  write: (field: Field, value: number) => string;
  onHover: (hovered: { text: string; x: number; y: number } | undefined) => void;
}

const DASHES: Record<string, string> = { dash: '10 10', dot: '1 4' };

function Marks({ series: { name, x, y, size, color, shade }, scales, write, onHover }: MarksProps) {
  const custom = (y.config.custom ?? {}) as Custom;
  const across = pointSizes(size, custom);
  const points = (x.values as number[]).flatMap((at, row) => {
    const value: unknown = y.values[row];
    return typeof value === 'number' && Number.isFinite(value) && Number.isFinite(at)
      ? [{ row, at, value, px: position(scales.x, at), py: position(scales.y, value) }]
      : [];
  });
  const { show = 'points', lineWidth = 1, lineStyle, pointStrokeWidth = 1, fillOpacity = 50 } = custom;
  const tell = ({ row, at, value }: { row: number; at: number; value: number }) =>
    [
      `${name}: ${write(y, value)} at ${write(x, at)}`,
      ...(size ? [`size ${write(size, size.values[row] as number)}`] : []),
    ].join(', ');
  return (
    <g>
      {show !== 'points' && (
        <polyline
          points={points.map(({ px, py }) => `${px},${py}`).join(' ')}
          fill="none"
          stroke={shade}
          strokeWidth={lineWidth}
          strokeDasharray={lineStyle?.dash?.join(' ') ?? DASHES[lineStyle?.fill ?? '']}
          strokeLinecap={lineStyle?.fill === 'dot' ? 'round' : 'butt'}
        />
      )}
      {show !== 'lines' &&
        points.map((point) => {
          const own = color?.display?.(color.values[point.row]).color ?? shade;
          const looks = {
            fill: own,
            fillOpacity: fillOpacity / 100,
            stroke: own,
            strokeWidth: pointStrokeWidth,
            onMouseMove: ({ clientX, clientY }: { clientX: number; clientY: number }) =>
              onHover({ text: tell(point), x: clientX, y: clientY }),
            onMouseLeave: () => onHover(undefined),
          };
          return (
            <Point
              key={point.row}
              {...point}
              across={across(point.row)}
              shape={custom.pointShape}
              looks={looks}
            />
          );
        })}
    </g>
  );
}

interface PointProps {
  px: number;
  py: number;
  across: number;
  shape: Custom['pointShape'];
  looks: React.SVGProps<SVGCircleElement & SVGRectElement>;
}

function Point({ px, py, across, shape, looks }: PointProps) {
  if (shape === 'square')
    return <rect x={px - across / 2} y={py - across / 2} width={across} height={across} {...looks} />;
  return <circle cx={px} cy={py} r={across / 2} {...looks} />;
}
