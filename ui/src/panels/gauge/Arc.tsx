import {
  FieldColorModeId,
  ThresholdsMode,
  formattedValueToString,
  getActiveThreshold,
  type FieldConfig,
  type FieldDisplay,
  type GrafanaTheme2,
} from '@grafana/data';
import { useTheme2 } from '@grafana/ui';
import type { MouseEvent } from 'react';

interface Props {
  value: FieldDisplay;
  width: number;
  height: number;
  showTitle: boolean;
  showThresholdLabels: boolean;
  showThresholdMarkers: boolean;
  text?: { titleSize?: number; valueSize?: number } | undefined;
  onClick?: ((event: MouseEvent<SVGElement>) => void) | undefined;
  className?: string | undefined;
}

/** The opening of the arc at its foot, in radians. */
const OPENING = Math.PI * 0.6;
const START = Math.PI / 2 + OPENING / 2;
const SWEEP = 2 * Math.PI - OPENING;
/** Below this height in pixels there is no room for a title. */
const TITLE_ROOM_MIN = 60;

/** A value on an arc from its least to its greatest, with its thresholds along the rim. */
export function Arc({
  value,
  width,
  height,
  showTitle,
  showThresholdLabels,
  showThresholdMarkers,
  text,
  onClick,
  className,
}: Props) {
  const theme = useTheme2();
  const { display, field } = value;
  const { min, max } = bounds(field);
  const titleSize =
    showTitle && height > TITLE_ROOM_MIN ? (text?.titleSize ?? Math.max(12, Math.min(18, height / 12))) : 0;
  const room = height - titleSize * 1.6;
  const margin = showThresholdLabels ? 18 : 4;
  // The arc is lower than it is wide: its foot is open.
  const radius = Math.max(8, Math.min(width / 2, room / (1 + Math.sin(START - Math.PI / 2 + 0.25))) - margin);
  const centre = { x: width / 2, y: margin + radius };
  const thickness = radius * 0.22;
  const rim = showThresholdMarkers ? Math.max(2, radius * 0.05) : 0;
  const inner = radius - (rim ? rim * 2 : 0) - thickness / 2;
  const share = fraction(display.numeric, min, max);
  const label = formattedValueToString(display);
  const fits = (inner * 1.5) / Math.max(3, label.length) / 0.6;
  const fontSize = text?.valueSize ?? Math.max(10, Math.min(radius * 0.5, fits));
  return (
    <svg
      width={width}
      height={height}
      onClick={onClick}
      className={className}
      role="img"
      aria-label={`${display.title ?? ''} ${label}`}
    >
      <path
        d={path(centre, inner, 0, 1)}
        stroke={theme.colors.background.secondary}
        strokeWidth={thickness}
        fill="none"
      />
      {share > 0 && (
        <path d={path(centre, inner, 0, share)} stroke={display.color} strokeWidth={thickness} fill="none" />
      )}
      {rim > 0 &&
        segments(field, theme, min, max).map(({ from, to, color }) => (
          <path
            key={from}
            d={path(centre, radius - rim / 2, from, to)}
            stroke={color}
            strokeWidth={rim}
            fill="none"
          />
        ))}
      {showThresholdLabels && (
        <Labels centre={centre} radius={radius + 8} field={field} min={min} max={max} value={value} />
      )}
      <text
        x={centre.x}
        y={centre.y + fontSize * 0.35}
        textAnchor="middle"
        fontSize={fontSize}
        fontWeight={500}
        fill={display.color}
      >
        {label}
      </text>
      {titleSize > 0 && (
        <text
          x={centre.x}
          y={height - titleSize * 0.4}
          textAnchor="middle"
          fontSize={titleSize}
          fill={theme.colors.text.primary}
        >
          {fitting(display.title ?? '', width, titleSize)}
          <title>{display.title}</title>
        </text>
      )}
    </svg>
  );
}

function Labels({
  centre,
  radius,
  field,
  min,
  max,
  value,
}: {
  centre: Point;
  radius: number;
  field: FieldConfig;
  min: number;
  max: number;
  value: FieldDisplay;
}) {
  const theme = useTheme2();
  const steps = (field.thresholds?.steps ?? []).filter(({ value: at }) => Number.isFinite(at));
  const format = value.view?.getFieldDisplayProcessor(value.colIndex ?? 0);
  return steps.map(({ value: at }) => {
    const absolute = absoluteStep(at, field, min, max);
    const { x, y } = point(centre, radius, fraction(absolute, min, max));
    return (
      <text key={at} x={x} y={y} textAnchor="middle" fontSize={10} fill={theme.colors.text.secondary}>
        {format ? formattedValueToString(format(absolute)) : absolute}
      </text>
    );
  });
}

/** As much of a title as there is room for. */
function fitting(title: string, width: number, size: number): string {
  const letters = Math.max(3, Math.floor(width / (size * 0.55)));
  return title.length > letters ? `${title.slice(0, letters - 1)}…` : title;
}

interface Point {
  x: number;
  y: number;
}

function bounds({ min, max }: FieldConfig): { min: number; max: number } {
  const least = min ?? 0;
  return { min: least, max: max !== undefined && max !== null && max > least ? max : least + 100 };
}

const fraction = (value: number, min: number, max: number) =>
  Math.max(0, Math.min(1, (value - min) / (max - min) || 0));

/** Percentages are of the range of the field. */
function absoluteStep(value: number, { thresholds }: FieldConfig, min: number, max: number): number {
  return thresholds?.mode === ThresholdsMode.Percentage ? min + (value / 100) * (max - min) : value;
}

/** The parts of the rim and their colours: those of thresholds, or of the scale that the value is coloured by. */
function segments(field: FieldConfig, theme: GrafanaTheme2, min: number, max: number) {
  const steps = field.thresholds?.steps ?? [];
  const fixed = field.color?.mode === FieldColorModeId.Fixed && !steps.length;
  if (fixed) return [];
  const first = getActiveThreshold(min, steps);
  const parts = [{ from: 0, color: first?.color ?? 'green' }];
  for (const { value, color } of steps) {
    const from = fraction(absoluteStep(value, field, min, max), min, max);
    if (Number.isFinite(value) && from > 0 && from < 1) parts.push({ from, color });
  }
  return parts.map(({ from, color }, index) => ({
    from,
    to: parts[index + 1]?.from ?? 1,
    color: theme.visualization.getColorByName(color),
  }));
}

function point({ x, y }: Point, radius: number, share: number): Point {
  const angle = START + SWEEP * share;
  return { x: x + radius * Math.cos(angle), y: y + radius * Math.sin(angle) };
}

function path(centre: Point, radius: number, from: number, to: number): string {
  const start = point(centre, radius, from);
  const end = point(centre, radius, to);
  const large = (to - from) * SWEEP > Math.PI ? 1 : 0;
  return `M${start.x},${start.y}A${radius},${radius} 0 ${large} 1 ${end.x},${end.y}`;
}
