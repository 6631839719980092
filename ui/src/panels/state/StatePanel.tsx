import { dateTimeFormat, type AbsoluteTimeRange, type PanelProps } from '@grafana/data';
import { LegendDisplayMode, type VizLegendOptions } from '@grafana/schema';
import { Pagination, getTextColorForBackground, useTheme2, type VizLegendItem } from '@grafana/ui';
import { useMemo, useState } from 'react';
import { BottomAxis, labelWidth } from '../shared/Axes';
import { Hover } from '../shared/Hover';
import { NoData } from '../shared/NoData';
import { TimeBrush } from '../shared/TimeBrush';
import { WithLegend } from '../shared/WithLegend';
import { position, timeTicks, type Scale } from '../shared/scale';
import { stateRows, type Span, type StateRow } from './spans';

export interface StateOptions {
  showValue: 'auto' | 'always' | 'never';
  alignValue: 'left' | 'center' | 'right';
  /** How much of its place a row, and a column, takes. */
  rowHeight: number;
  colWidth?: number;
  mergeValues?: boolean;
  /** Rows at once; 0 for all. */
  perPage: number;
  legend: VizLegendOptions;
  tooltip: { mode: string };
}

export const STATE_OPTIONS: StateOptions = {
  showValue: 'auto',
  alignValue: 'left',
  rowHeight: 0.9,
  perPage: 20,
  legend: { showLegend: true, displayMode: LegendDisplayMode.List, placement: 'bottom', calcs: [] },
  tooltip: { mode: 'single' },
};

export const STATE_FIELD_OPTIONS = {
  lineWidth: 0,
  fillOpacity: 70,
  spanNulls: false,
  insertNulls: false,
  axisPlacement: 'auto',
  axisWidth: undefined,
  axisLabel: '',
  hideFrom: { tooltip: false, viz: false, legend: false },
};

export const StateTimelinePanel = (props: PanelProps<StateOptions>) => (
  <States {...props} merge={props.options.mergeValues ?? true} />
);
export const StatusHistoryPanel = (props: PanelProps<StateOptions>) => <States {...props} merge={false} />;

/** More kinds of values than this make no legend. */
const LEGEND_MAX = 40;

function States({
  data,
  timeRange,
  timeZone,
  width,
  height,
  options,
  fieldConfig,
  onChangeTimeRange,
  merge,
}: PanelProps<StateOptions> & { merge: boolean }) {
  const toMs = Math.min(timeRange.to.valueOf(), Date.now());
  const [page, setPage] = useState(1);
  const rows = useMemo(() => stateRows({ frames: data.series, toMs, merge }), [data.series, toMs, merge]);
  if (!rows.some(({ spans }) => spans.length)) return <NoData message={fieldConfig.defaults.noValue} />;
  const range = { fromMs: timeRange.from.valueOf(), toMs: timeRange.to.valueOf() };
  const pages = options.perPage > 0 ? Math.ceil(rows.length / options.perPage) : 1;
  const current = Math.min(page, pages);
  const shown = pages > 1 ? rows.slice((current - 1) * options.perPage, current * options.perPage) : rows;
  return (
    <>
      <WithLegend
        width={width}
        height={pages > 1 ? height - PAGES_HEIGHT : height}
        legend={options.legend}
        items={legendItems(rows)}
        // Its entries are states, not series.
        isReadOnly
      >
        {(innerWidth, innerHeight) => (
          <Drawing
            rows={shown}
            range={range}
            timeZone={timeZone}
            width={innerWidth}
            height={innerHeight}
            options={options}
            opacity={opacityOf(fieldConfig.defaults.custom)}
            onChangeTimeRange={onChangeTimeRange}
          />
        )}
      </WithLegend>
      {pages > 1 && (
        <Pagination currentPage={current} numberOfPages={pages} onNavigate={setPage} showSmallVersion />
      )}
    </>
  );
}

/** Room for the choice of a page. */
const PAGES_HEIGHT = 40;

const opacityOf = (custom: unknown) =>
  ((custom as { fillOpacity?: number } | undefined)?.fillOpacity ?? 70) / 100;

function legendItems(rows: StateRow[]): VizLegendItem[] {
  const kinds = new Map<string, string>();
  for (const { spans } of rows) for (const { text, color } of spans) kinds.set(text, color);
  if (kinds.size > LEGEND_MAX) return [];
  return [...kinds].map(([label, color]) => ({ label, color, yAxis: 1 }));
}

interface DrawingProps {
  rows: StateRow[];
  range: { fromMs: number; toMs: number };
  timeZone: string;
  width: number;
  height: number;
  options: StateOptions;
  opacity: number;
  onChangeTimeRange: (range: AbsoluteTimeRange) => void;
}

const AXIS_HEIGHT = 22;

function Drawing({
  rows,
  range,
  timeZone,
  width,
  height,
  options,
  opacity,
  onChangeTimeRange,
}: DrawingProps) {
  const [hovered, setHovered] = useState<{ row: StateRow; span: Span; x: number; y: number }>();
  const theme = useTheme2();
  const left = Math.min(width / 3, labelWidth(rows.map(({ name }) => name)));
  const scale: Scale = { min: range.fromMs, max: range.toMs, from: left, to: width };
  const bottom = height - AXIS_HEIGHT;
  const pitch = bottom / rows.length;
  const thickness = pitch * options.rowHeight;
  // Names that would lie over each other are left out evenly.
  const every = Math.max(1, Math.ceil(13 / pitch));
  return (
    <TimeBrush scale={scale} bottom={bottom} onChangeTimeRange={onChangeTimeRange}>
      <svg width={width} height={height} role="img" aria-label="States over time">
        <BottomAxis
          scale={scale}
          ticks={timeTicks(range.fromMs, range.toMs, (width - left) / 90, timeZone)}
          across={{ from: 0, to: bottom }}
        />
        {rows.map((row, index) => {
          const top = index * pitch + (pitch - thickness) / 2;
          return (
            <g key={row.name + index}>
              {index % every === 0 && (
                <text
                  x={left - 8}
                  y={top + thickness / 2 + 4}
                  textAnchor="end"
                  fontSize={12}
                  fill={theme.colors.text.primary}
                >
                  {fitting(row.name, left - 10)}
                </text>
              )}
              {row.spans.map((span) => (
                <Block
                  key={span.fromMs}
                  span={span}
                  scale={scale}
                  top={top}
                  thickness={thickness}
                  options={options}
                  opacity={opacity}
                  onHover={(at) => setHovered(at && { row, span, ...at })}
                />
              ))}
            </g>
          );
        })}
      </svg>
      <Hover at={options.tooltip.mode === 'none' ? undefined : hovered}>
        {hovered && <About {...hovered} timeZone={timeZone} />}
      </Hover>
    </TimeBrush>
  );
}

/** As much of a name as there is room for. */
const fitting = (name: string, room: number) => {
  const letters = Math.max(4, Math.floor(room / 6.6));
  return name.length > letters ? `${name.slice(0, letters - 1)}…` : name;
};

interface BlockProps {
  span: Span;
  scale: Scale;
  top: number;
  thickness: number;
  options: StateOptions;
  opacity: number;
  onHover: (at: { x: number; y: number } | undefined) => void;
}

function Block({ span, scale, top, thickness, options, opacity, onHover }: BlockProps) {
  const start = Math.max(scale.from, position(scale, span.fromMs));
  const end = Math.min(scale.to, position(scale, span.toMs));
  if (end <= start) return null;
  const shrink = ((1 - (options.colWidth ?? 1)) * (end - start)) / 2;
  const width = Math.max(1, end - start - 2 * shrink);
  const fits = span.text.length * 7 + 8 < width && thickness > 14;
  const shown = options.showValue === 'always' || (options.showValue === 'auto' && fits);
  const x = { left: start + 6, center: (start + end) / 2, right: end - 6 }[options.alignValue];
  const anchor = { left: 'start', center: 'middle', right: 'end' } as const;
  return (
    <g
      onMouseMove={({ clientX, clientY }) => onHover({ x: clientX, y: clientY })}
      onMouseLeave={() => onHover(undefined)}
    >
      <rect
        x={start + shrink}
        y={top}
        width={width}
        height={thickness}
        fill={span.color}
        fillOpacity={opacity}
      />
      {shown && (
        <text
          x={x}
          y={top + thickness / 2 + 4}
          textAnchor={anchor[options.alignValue]}
          fontSize={12}
          fill={opacity > 0.5 ? getTextColorForBackground(span.color) : span.color}
          pointerEvents="none"
        >
          {span.text}
        </text>
      )}
    </g>
  );
}

function About({ row, span, timeZone }: { row: StateRow; span: Span; timeZone: string }) {
  return (
    <>
      <strong>{row.name}</strong>: {span.text}
      <div>
        {dateTimeFormat(span.fromMs, { timeZone })} to {dateTimeFormat(span.toMs, { timeZone })}
      </div>
    </>
  );
}
