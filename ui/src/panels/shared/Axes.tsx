import { useTheme2 } from '@grafana/ui';
import { position, type Scale, type Tick } from './scale';

interface Props {
  scale: Scale;
  ticks: Tick[];
  /** Where lines of the grid end. */
  across: { from: number; to: number };
  grid?: boolean;
}

/** Values at the left of a drawing. */
export function LeftAxis({ scale, ticks, across, grid = true }: Props) {
  const theme = useTheme2();
  return (
    <g fontSize={12} fill={theme.colors.text.primary}>
      {ticks.map(({ value, label }) => {
        const y = position(scale, value);
        return (
          <g key={value}>
            {grid && <line x1={across.from} x2={across.to} y1={y} y2={y} stroke={theme.colors.border.weak} />}
            <text x={across.from - 6} y={y + 4} textAnchor="end">
              {label}
            </text>
          </g>
        );
      })}
    </g>
  );
}

/** Values at the right of a drawing, without lines across it. */
export function RightAxis({ scale, ticks, at }: { scale: Scale; ticks: Tick[]; at: number }) {
  const theme = useTheme2();
  return (
    <g fontSize={12} fill={theme.colors.text.primary}>
      {ticks.map(({ value, label }) => (
        <text key={value} x={at + 6} y={position(scale, value) + 4}>
          {label}
        </text>
      ))}
    </g>
  );
}

/** Values or times below a drawing. */
export function BottomAxis({ scale, ticks, across, grid = true }: Props) {
  const theme = useTheme2();
  return (
    <g fontSize={12} fill={theme.colors.text.primary}>
      {ticks.map(({ value, label }) => {
        const x = position(scale, value);
        return (
          <g key={value}>
            {grid && <line x1={x} x2={x} y1={across.from} y2={across.to} stroke={theme.colors.border.weak} />}
            <text x={x} y={across.to + 16} textAnchor="middle">
              {label}
            </text>
          </g>
        );
      })}
    </g>
  );
}

/** Pixels a label of an axis takes. */
export const labelWidth = (labels: string[]) => Math.max(0, ...labels.map((label) => label.length)) * 7 + 10;
