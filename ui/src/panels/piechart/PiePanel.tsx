import { formattedValueToString, type FieldDisplay, type PanelProps } from '@grafana/data';
import {
  LegendDisplayMode,
  SortOrder,
  TooltipDisplayMode,
  type VizLegendOptions,
  type VizTooltipOptions,
} from '@grafana/schema';
import { getTextColorForBackground, useTheme2, type VizLegendItem } from '@grafana/ui';
import { useState } from 'react';
import { Hover } from '../shared/Hover';
import { HoverRows, toldRows } from '../shared/HoverRows';
import { NoData } from '../shared/NoData';
import { WithLegend } from '../shared/WithLegend';
import { WithLinks } from '../shared/WithLinks';
import { hiddenFrom } from '../shared/legendItems';
import { VALUE_OPTIONS, displayValues, type ValueOptions } from '../shared/values';

type Shown = 'name' | 'value' | 'percent';

interface PieOptions extends ValueOptions {
  pieType: 'pie' | 'donut';
  sort: 'desc' | 'asc' | 'none';
  displayLabels: Shown[];
  legend: VizLegendOptions & { values?: Shown[] };
  tooltip: VizTooltipOptions;
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
  tooltip: { mode: TooltipDisplayMode.Single, sort: SortOrder.None, hideZeros: false },
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
  const values = displayValues(props, theme);
  const slices = sliced(values, options.sort);
  const hidden = values.filter(isHidden);
  if (!slices.length && !hidden.length) return <NoData message={fieldConfig.defaults.noValue} />;
  const shown = (options.legend.values ?? []).filter((each) => each !== 'name');
  const items = [...slices, ...hidden.map((value): Slice => ({ value, share: 0, from: 0 }))]
    .filter(({ value }) => !hiddenOf(value).legend)
    .map((slice): VizLegendItem => ({
      label: slice.value.display.title ?? '',
      fieldName: slice.value.display.title ?? '',
      color: slice.value.display.color ?? '',
      yAxis: 1,
      disabled: isHidden(slice.value),
      getDisplayValues: () =>
        shown.map((each) => ({
          numeric: each === 'percent' ? slice.share : slice.value.display.numeric,
          text: isHidden(slice.value) && each === 'percent' ? '-' : text(slice, each),
          title: HEADINGS[each],
        })),
    }));
  return (
    <WithLegend width={width} height={height} legend={options.legend} items={items}>
      {(innerWidth, innerHeight) => (
        <Pie slices={slices} width={innerWidth} height={innerHeight} options={options} />
      )}
    </WithLegend>
  );
}

const HEADINGS: Record<Shown, string> = { name: 'Name', value: 'Value', percent: 'Percent' };

/** Where a value is not shown; what is hidden is no part of the whole. */
const hiddenOf = ({ field }: FieldDisplay) => hiddenFrom({ config: field });
const isHidden = (value: FieldDisplay) => hiddenOf(value).viz ?? false;

export function sliced(values: FieldDisplay[], sort: PieOptions['sort']): Slice[] {
  const positive = values.filter((value) => value.display.numeric > 0 && !isHidden(value));
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

/** A part of the whole has the decimals of its field, or none. */
function text({ value, share }: Slice, shown: Shown): string {
  if (shown === 'name') return value.display.title ?? '';
  return shown === 'percent'
    ? `${(share * 100).toFixed(value.field.decimals ?? 0)}%`
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
            <WithLinks key={slice.from} value={slice.value}>
              {({ openMenu }) => (
                <path
                  d={sector(slice, radius, inner)}
                  fill={slice.value.display.color}
                  stroke={theme.colors.background.primary}
                  onClick={openMenu}
                  style={{ cursor: openMenu && 'pointer' }}
                  onMouseMove={({ clientX, clientY }) => setHovered({ slice, x: clientX, y: clientY })}
                  onMouseLeave={() => setHovered(undefined)}
                />
              )}
            </WithLinks>
          ))}
          {slices
            .filter(({ share }) => options.displayLabels.length && share >= LABELLED_SHARE_MIN)
            .map((slice) => {
              const [x, y] = point(
                slice.from + slice.share / 2,
                (radius + inner) / 2 + (inner ? 0 : radius * 0.12),
              );
              const { length } = options.displayLabels;
              return (
                <text
                  key={slice.from}
                  textAnchor="middle"
                  fontSize={12}
                  fill={getTextColorForBackground(slice.value.display.color ?? '#000')}
                  pointerEvents="none"
                >
                  {options.displayLabels.map((shown, line) => (
                    <tspan key={shown} x={x} y={y + 4 + (line - (length - 1) / 2) * 15}>
                      {text(slice, shown)}
                    </tspan>
                  ))}
                </text>
              );
            })}
        </g>
      </svg>
      <Hover at={hovered}>
        {hovered && <HoverRows title="" rows={toldRows(rowsOf(slices, hovered.slice), options.tooltip)} />}
      </Hover>
    </>
  );
}

const rowsOf = (slices: Slice[], meant: Slice) =>
  slices.map((slice) => ({
    name: text(slice, 'name'),
    color: slice.value.display.color ?? '',
    text: `${text(slice, 'value')} (${text(slice, 'percent')})`,
    value: slice.value.display.numeric,
    isMeant: slice.value === meant.value,
  }));

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
