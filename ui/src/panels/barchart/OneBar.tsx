import type { Field } from '@grafana/data';
import { DataLinksContextMenu, getTextColorForBackground, useTheme2 } from '@grafana/ui';
import type { ReactElement } from 'react';
import { position, type Scale } from '../shared/scale';
import type { BarOptions } from './BarChartPanel';
import type { Bar } from './chart';
import { customOf, textWidth, writtenValue } from './geometry';

interface BarProps {
  bar: Bar;
  scale: Scale;
  /** Where it begins across its length. */
  at: number;
  breadth: number;
  options: BarOptions;
  /** Height of the letters of its value. */
  valueSize: number;
  isHorizontal: boolean;
  onHover: (at: { x: number; y: number } | undefined) => void;
}

/** A bar with its value. */
export function OneBar({ bar, scale, at, breadth, options, valueSize, isHorizontal, onHover }: BarProps) {
  const theme = useTheme2();
  const { series, row } = bar;
  const [a, b] = [position(scale, bar.from), position(scale, bar.to)];
  const [near, length] = [Math.min(a, b), Math.abs(a - b)];
  const box = isHorizontal
    ? { x: near, y: at, width: length, height: breadth }
    : { x: at, y: near, width: breadth, height: length };
  const { fillOpacity = 80, lineWidth = 1 } = customOf(series.field);
  const color = theme.visualization.getColorByName(series.colorAt(row));
  return (
    <Linked field={series.field} row={row}>
      <g
        onMouseMove={({ clientX: x, clientY: y }) => onHover({ x, y })}
        onMouseLeave={() => onHover(undefined)}
      >
        <rect
          {...box}
          rx={options.barRadius * breadth}
          fill={color}
          fillOpacity={fillOpacity / 100}
          stroke={color}
          strokeWidth={lineWidth}
        />
        <Value
          text={writtenValue(bar)}
          box={box}
          size={valueSize}
          color={color}
          isBelow={bar.to < bar.from}
          options={options}
          isHorizontal={isHorizontal}
        />
      </g>
    </Linked>
  );
}

/** What is shown of a field, leading where its links lead. */
function Linked({ field, row, children }: { field: Field; row: number; children: ReactElement }) {
  const { getLinks, config } = field;
  if (!getLinks || !config.links?.length) return children;
  return (
    <DataLinksContextMenu links={() => getLinks({ valueRowIndex: row })}>
      {({ openMenu }) => (
        <g onClick={openMenu} style={{ cursor: 'pointer' }}>
          {children}
        </g>
      )}
    </DataLinksContextMenu>
  );
}

interface ValueProps {
  text: string;
  box: { x: number; y: number; width: number; height: number };
  size: number;
  /** Of the bar. */
  color: string;
  isBelow: boolean;
  options: BarOptions;
  isHorizontal: boolean;
}

/** The value of a bar at its end, or within it where bars stand on each other. */
function Value({ text, box, size, color, isBelow, options, isHorizontal }: ValueProps) {
  const theme = useTheme2();
  const { showValue, stacking } = options;
  const breadth = isHorizontal ? box.height : box.width;
  const length = isHorizontal ? box.width : box.height;
  const isInside = stacking !== 'none';
  const [along, acrossRoom] = isHorizontal ? [textWidth(text, size), size] : [size, textWidth(text, size)];
  const fits = acrossRoom <= breadth + 1 && (!isInside || along + 2 <= length);
  if (showValue === 'never' || (showValue === 'auto' && !fits)) return null;
  const middle = isHorizontal ? box.y + box.height / 2 : box.x + box.width / 2;
  const end = isHorizontal
    ? isBelow
      ? box.x - 4
      : box.x + box.width + 4
    : isBelow
      ? box.y + box.height + size
      : box.y - 4;
  const inside = isHorizontal ? box.x + box.width / 2 : box.y + box.height / 2 + size * 0.35;
  const place = isInside ? inside : end;
  const anchor = isInside || !isHorizontal ? 'middle' : isBelow ? 'end' : 'start';
  return (
    <text
      {...(isHorizontal ? { x: place, y: middle + size * 0.35 } : { x: middle, y: place })}
      textAnchor={anchor}
      fontSize={size}
      fill={isInside ? getTextColorForBackground(color) : theme.colors.text.primary}
      pointerEvents="none"
    >
      {text}
    </text>
  );
}
