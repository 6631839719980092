import { useTheme2 } from '@grafana/ui';

interface Props {
  values: number[];
  width: number;
  height: number;
}

/** A small curve, to see the shape of something. */
export function Sparkline({ values, width, height }: Props) {
  const { colors } = useTheme2();
  const most = Math.max(...values, 1);
  const x = (index: number) => (values.length > 1 ? (index / (values.length - 1)) * width : width / 2);
  const y = (value: number) => height - 1 - (value / most) * (height - 2);
  const points = values.map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`);
  if (values.length === 1) points.unshift(`0,${y(values[0] ?? 0)}`);
  return (
    <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      <polygon
        points={`0,${height} ${points.join(' ')} ${width},${height}`}
        fill={colors.primary.transparent}
      />
      <polyline points={points.join(' ')} fill="none" stroke={colors.primary.text} strokeWidth="1.2" />
    </svg>
  );
}
