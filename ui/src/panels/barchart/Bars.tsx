import { useTheme2 } from '@grafana/ui';
import { useState } from 'react';
import { BottomAxis, LeftAxis, RightAxis } from '../shared/Axes';
import { Hover } from '../shared/Hover';
import { HoverRows, toldRows } from '../shared/HoverRows';
import { hiddenFrom } from '../shared/legendItems';
import type { BarOptions } from './BarChartPanel';
import type { Bar, Chart } from './chart';
import { FONT_SIZE, axisOf, geometryOf, placed, writtenValue, type Geometry, type Room } from './geometry';
import { OneBar } from './OneBar';

interface Props extends Room {
  chart: Chart;
  options: BarOptions;
}

/** Bars beside or on each other, with their names on one axis and their values on the other. */
export function Bars({ chart, options, ...room }: Props) {
  const [hovered, setHovered] = useState<{ bar: Bar; x: number; y: number }>();
  const geometry = geometryOf(chart, options, room);
  const { groups, names, shown, left, bottom, pitch, breadth, every, valueSize } = geometry;
  const { isHorizontal, width, height } = room;
  return (
    <>
      <svg width={width} height={height} role="img" aria-label="Bar chart">
        <ValueAxes geometry={geometry} room={room} />
        {groups.map((group, row) => {
          const start = (isHorizontal ? 0 : left) + row * pitch + (pitch * (1 - options.groupWidth)) / 2;
          return (
            <g key={row}>
              {group.map((bar) => {
                const axis = axisOf(bar, geometry);
                const index = options.stacking === 'none' ? shown.indexOf(bar.series) : 0;
                return (
                  axis && (
                    <OneBar
                      key={bar.series.name}
                      bar={bar}
                      scale={placed(axis, geometry, room)}
                      at={start + index * breadth}
                      breadth={breadth * options.barWidth}
                      options={options}
                      valueSize={valueSize}
                      isHorizontal={isHorizontal}
                      onHover={(at) => setHovered(at && { bar, ...at })}
                    />
                  )
                );
              })}
              {(isHorizontal || row % every === 0) && (
                <Name
                  text={names[row] ?? ''}
                  x={isHorizontal ? left - 6 : left + (row + 0.5) * pitch}
                  y={isHorizontal ? (row + 0.5) * pitch + 4 : bottom + 16}
                  rotation={isHorizontal ? 0 : options.xTickLabelRotation}
                  anchor={isHorizontal ? 'end' : undefined}
                />
              )}
            </g>
          );
        })}
      </svg>
      <Hover at={hovered}>
        {hovered && <About bar={hovered.bar} chart={chart} groups={groups} options={options} />}
      </Hover>
    </>
  );
}

function ValueAxes({ geometry, room }: { geometry: Geometry; room: Room }) {
  const theme = useTheme2();
  const { first, second, left, right, bottom, label } = geometry;
  const isThere = first !== undefined && first.marks.length > 0;
  if (room.isHorizontal) {
    return isThere ? (
      <BottomAxis
        scale={placed(first, geometry, room)}
        ticks={first.marks}
        across={{ from: 0, to: bottom }}
      />
    ) : null;
  }
  return (
    <>
      {isThere && (
        <LeftAxis
          scale={placed(first, geometry, room)}
          ticks={first.marks}
          across={{ from: left, to: right }}
        />
      )}
      {second && <RightAxis scale={placed(second, geometry, room)} ticks={second.marks} at={right} />}
      {label && (
        <text
          transform={`translate(10 ${bottom / 2}) rotate(-90)`}
          fontSize={FONT_SIZE}
          textAnchor="middle"
          fill={theme.colors.text.primary}
        >
          {label}
        </text>
      )}
    </>
  );
}

interface NameProps {
  text: string;
  x: number;
  y: number;
  rotation: number;
  anchor: 'end' | undefined;
}

function Name({ text, x, y, rotation, anchor }: NameProps) {
  const theme = useTheme2();
  const turned = rotation > 0 ? 'start' : rotation < 0 ? 'end' : 'middle';
  return (
    <text
      fontSize={FONT_SIZE}
      fill={theme.colors.text.primary}
      textAnchor={anchor ?? turned}
      {...(rotation ? { transform: `translate(${x} ${y - 4}) rotate(${rotation})` } : { x, y })}
    >
      {text}
    </text>
  );
}

interface AboutProps {
  bar: Bar;
  chart: Chart;
  groups: Bar[][];
  options: BarOptions;
}

function About({ bar, chart, groups, options }: AboutProps) {
  const theme = useTheme2();
  const rows = (groups[bar.row] ?? [])
    .filter(({ series }) => !hiddenFrom(series.field).tooltip)
    .map((each) => ({
      name: each.series.name,
      color: theme.visualization.getColorByName(each.series.colorAt(each.row)),
      text: writtenValue(each),
      value: each.value,
      isMeant: each.series === bar.series,
    }));
  const told = toldRows(rows, options.tooltip);
  return told.length ? <HoverRows title={chart.categories[bar.row] ?? ''} rows={told} /> : null;
}
