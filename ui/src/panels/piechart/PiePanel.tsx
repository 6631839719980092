import { formattedValueToString, type FieldDisplay, type PanelProps } from '@grafana/data';
import { LegendDisplayMode, type VizLegendOptions } from '@grafana/schema';
import { useTheme2, type VizLegendItem } from '@grafana/ui';
import { useState } from 'react';
import { Hover } from '../shared/Hover';
import { NoData } from '../shared/NoData';
import { WithLegend } from '../shared/WithLegend';
import { VALUE_OPTIONS, displayValues, type ValueOptions } from '../shared/values';

type Shown = 'name' | 'value' | 'percent';

interface PieOptions extends ValueOptions {
  pieType: 'pie' | 'donut';
  sort: 'desc' | 'asc' | 'none';
  displayLabels: Shown[];
  legend: VizLegendOptions & { values?: Shown[] };
  tooltip: { mode: string };
}

export const PIE_OPTIONS: PieOptions = {
  ...VALUE_OPTIONS,
  pieType: 'pie',
  sort: 'desc',
  displayLabels: [],
  legend: {
    showLegend: true,
    displayMode: LegendDisplayMode.List,
    placement: 'right',
    calcs: [],
    values: [],
  },
  tooltip: { mode: 'single' },
};

interface Slice {
  value: FieldDisplay;
  /** Of the whole. */
  share: number;
  /** Where it begins, of the whole. */
  from: number;
}

/** The labels of slices smaller than this would lie over each other. */
const LABELLED_SHARE_MIN = 0.04;

export function PiePanel(props: PanelProps<PieOptions>) {
  const theme = useTheme2();
  const { options, width, height, fieldConfig } = props;
  const slices = sliced(displayValues(props, theme), options.sort);
  if (!slices.length) return <NoData message={fieldConfig.defaults.noValue} />;
  const items = slices.map((slice): VizLegendItem => ({
    label: slice.value.display.title ?? '',
    color: slice.value.display.color ?? '',
    yAxis: 1,
    getDisplayValues: () =>
      (options.legend.values ?? [])
        .filter((shown) => shown !== 'name')
        .map((shown) => ({ numeric: slice.share, text: text(slice, shown), title: shown })),
  }));
  return (
    <WithLegend width={width} height={height} legend={options.legend} items={items}>
      {(innerWidth, innerHeight) => (
        <Pie slices={slices} width={innerWidth} height={innerHeight} options={options} />
      )}
    </WithLegend>
  );
}

function sliced(values: FieldDisplay[], sort: PieOptions['sort']): Slice[] {
  const positive = values.filter(({ display }) => display.numeric > 0);
  if (sort !== 'none')
    positive.sort((a, b) => (sort === 'desc' ? -1 : 1) * (a.display.numeric - b.display.numeric));
  const total = positive.reduce((sum, { display }) => sum + display.numeric, 0);
  let from = 0;
  return positive.map((value) => {
    const slice = { value, share: value.display.numeric / total, from };
    from += slice.share;
    return slice;
  });
}

function text({ value, share }: Slice, shown: Shown): string {
  if (shown === 'name') return value.display.title ?? '';
  return shown === 'percent'
    ? `${(share * 100).toFixed(share < 0.1 ? 1 : 0)}%`
    : formattedValueToString(value.display);
}

interface PieProps {
  slices: Slice[];
  width: number;
  height: number;
  options: PieOptions;
}

function Pie({ slices, width, height, options }: PieProps) {
  const theme = useTheme2();
  const [hovered, setHovered] = useState<{ slice: Slice; x: number; y: number }>();
  const radius = Math.max(1, Math.min(width, height) / 2 - 8);
  const inner = options.pieType === 'donut' ? radius * 0.6 : 0;
  return (
    <>
      <svg width={width} height={height} role="img" aria-label="Pie chart">
        <g transform={`translate(${width / 2},${height / 2})`}>
          {slices.map((slice) => (
            <path
              key={slice.from}
              d={sector(slice, radius, inner)}
              fill={slice.value.display.color}
              stroke={theme.colors.background.primary}
              onMouseMove={({ clientX, clientY }) => setHovered({ slice, x: clientX, y: clientY })}
              onMouseLeave={() => setHovered(undefined)}
            />
          ))}
          {slices
            .filter(({ share }) => options.displayLabels.length && share >= LABELLED_SHARE_MIN)
            .map((slice) => {
              const [x, y] = point(
                slice.from + slice.share / 2,
                (radius + inner) / 2 + (inner ? 0 : radius * 0.12),
              );
              return (
                <text
                  key={slice.from}
                  x={x}
                  y={y}
                  textAnchor="middle"
                  fontSize={12}
                  fill="#fff"
                  pointerEvents="none"
                >
                  {options.displayLabels.map((shown) => text(slice, shown)).join(' ')}
                </text>
              );
            })}
        </g>
      </svg>
      <Hover at={hovered}>
        {hovered &&
          `${text(hovered.slice, 'name')}: ${text(hovered.slice, 'value')} (${text(hovered.slice, 'percent')})`}
      </Hover>
    </>
  );
}

/** From the top, the way of the clock. */
function point(share: number, radius: number): [number, number] {
  const angle = share * 2 * Math.PI - Math.PI / 2;
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
}

function sector({ from, share }: Slice, radius: number, inner: number): string {
  // A whole circle has no beginning for an arc to end at.
  const to = from + Math.min(share, 0.99999);
  const large = share > 0.5 ? 1 : 0;
  const [x0, y0] = point(from, radius);
  const [x1, y1] = point(to, radius);
  const [x2, y2] = point(to, inner);
  const [x3, y3] = point(from, inner);
  const back = inner ? `L${x2},${y2}A${inner},${inner} 0 ${large} 0 ${x3},${y3}` : 'L0,0';
  return `M${x0},${y0}A${radius},${radius} 0 ${large} 1 ${x1},${y1}${back}Z`;
}
