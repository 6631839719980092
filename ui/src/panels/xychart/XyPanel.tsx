import {
  FieldType,
  formattedValueToString,
  getFieldDisplayName,
  getFieldMatcher,
  type DataFrame,
  type Field,
  type MatcherConfig,
  type PanelProps,
} from '@grafana/data';
import { LegendDisplayMode, type VizLegendOptions } from '@grafana/schema';
import { useTheme2 } from '@grafana/ui';
import { useState } from 'react';
import { BottomAxis, LeftAxis, labelWidth } from '../shared/Axes';
import { Hover } from '../shared/Hover';
import { NoData } from '../shared/NoData';
import { WithLegend } from '../shared/WithLegend';
import { position, ticks, type Scale } from '../shared/scale';

interface Dimension {
  matcher?: MatcherConfig;
}

interface XyOptions {
  mapping: 'auto' | 'manual';
  series: { frame?: Dimension; x?: Dimension; y?: Dimension; name?: { fixed?: string } }[];
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

interface XySeries {
  name: string;
  x: Field;
  y: Field;
  color: string;
}

const ROOM = 22;

export function XyPanel({ data, width, height, options, fieldConfig }: PanelProps<XyOptions>) {
  const theme = useTheme2();
  const series = pairs(
    data.series,
    options,
    (index) => theme.visualization.palette[index % theme.visualization.palette.length] ?? 'green',
  );
  const items = series.map(({ name, color }) => ({
    label: name,
    color: theme.visualization.getColorByName(color),
    yAxis: 1,
  }));
  if (!series.length) return <NoData message={fieldConfig.defaults.noValue} />;
  return (
    <WithLegend width={width} height={height} legend={options.legend} items={items}>
      {(innerWidth, innerHeight) => <Plot series={series} width={innerWidth} height={innerHeight} />}
    </WithLegend>
  );
}

/** The first number of a frame goes along x, the others up y, unless a dashboard says which. */
function pairs(
  frames: DataFrame[],
  { mapping, series }: XyOptions,
  color: (index: number) => string,
): XySeries[] {
  const result: XySeries[] = [];
  const rules = mapping === 'manual' && series.length ? series : [{}];
  for (const rule of rules) {
    for (const frame of frames) {
      const numbers = frame.fields.filter(({ type }) => type === FieldType.number || type === FieldType.time);
      const pick = (dimension: Dimension | undefined) => {
        if (!dimension?.matcher) return undefined;
        const matches = getFieldMatcher(dimension.matcher);
        return numbers.filter((field) => matches(field, frame, frames));
      };
      const { x: xRule, y: yRule, name } = rule as XyOptions['series'][number];
      const x = pick(xRule)?.[0] ?? numbers[0];
      const ys = pick(yRule) ?? numbers.filter((field) => field !== x && field.type === FieldType.number);
      if (!x) continue;
      for (const y of ys) {
        if (y !== x)
          result.push({
            name: name?.fixed ?? getFieldDisplayName(y, frame, frames),
            x,
            y,
            color: color(result.length),
          });
      }
    }
  }
  return result;
}

function Plot({ series, width, height }: { series: XySeries[]; width: number; height: number }) {
  const theme = useTheme2();
  const [hovered, setHovered] = useState<{ text: string; x: number; y: number }>();
  const write = (field: Field | undefined, value: number) =>
    field?.display ? formattedValueToString(field.display(value)) : String(value);
  const range = (fields: Field[]): [number, number] => {
    const values = fields.flatMap(({ values: all }) => all as number[]).filter(Number.isFinite);
    const [min, max] = [Math.min(...values), Math.max(...values)];
    return min === max ? [min - 1, max + 1] : [min, max];
  };
  const [xMin, xMax] = range(series.map(({ x }) => x));
  const [yMin, yMax] = range(series.map(({ y }) => y));
  const yMarks = ticks(yMin, yMax, height / 50).map((value) => ({
    value,
    label: write(series[0]?.y, value),
  }));
  const left = labelWidth(yMarks.map(({ label }) => label));
  const bottom = height - ROOM;
  const x: Scale = { min: xMin, max: xMax, from: left + 8, to: width - 12 };
  const y: Scale = { min: yMin, max: yMax, from: bottom - 6, to: 8 };
  const xMarks = ticks(xMin, xMax, (width - left) / 100).map((value) => ({
    value,
    label: write(series[0]?.x, value),
  }));
  return (
    <>
      <svg width={width} height={height} role="img" aria-label="XY chart">
        <LeftAxis scale={y} ticks={yMarks} across={{ from: left, to: width }} />
        <BottomAxis scale={x} ticks={xMarks} across={{ from: 0, to: bottom }} />
        {series.map((each) => (
          <Marks
            key={each.name}
            series={each}
            scales={{ x, y }}
            color={theme.visualization.getColorByName(each.color)}
            onHover={setHovered}
            write={write}
          />
        ))}
      </svg>
      <Hover at={hovered}>{hovered?.text}</Hover>
    </>
  );
}

interface MarksProps {
  series: XySeries;
  scales: { x: Scale; y: Scale };
  color: string;
  write: (field: Field, value: number) => string;
  onHover: (hovered: { text: string; x: number; y: number } | undefined) => void;
}

function Marks({ series: { name, x, y }, scales, color, write, onHover }: MarksProps) {
  const custom = y.config.custom as
    { show?: string; pointSize?: { fixed?: number }; fillOpacity?: number; lineWidth?: number } | undefined;
  const points = (x.values as number[]).flatMap((at, row) => {
    const value: unknown = y.values[row];
    return typeof value === 'number' && Number.isFinite(value) && Number.isFinite(at)
      ? [{ row, at, value, px: position(scales.x, at), py: position(scales.y, value) }]
      : [];
  });
  const show = custom?.show ?? 'points';
  return (
    <g>
      {show !== 'points' && (
        <polyline
          points={points.map(({ px, py }) => `${px},${py}`).join(' ')}
          fill="none"
          stroke={color}
          strokeWidth={custom?.lineWidth ?? 1}
        />
      )}
      {show !== 'lines' &&
        points.map(({ row, at, value, px, py }) => (
          <circle
            key={row}
            cx={px}
            cy={py}
            r={(custom?.pointSize?.fixed ?? 5) / 2 + 1}
            fill={color}
            fillOpacity={(custom?.fillOpacity ?? 50) / 100}
            stroke={color}
            onMouseMove={({ clientX, clientY }) =>
              onHover({ text: `${name}: ${write(y, value)} at ${write(x, at)}`, x: clientX, y: clientY })
            }
            onMouseLeave={() => onHover(undefined)}
          />
        ))}
    </g>
  );
}
