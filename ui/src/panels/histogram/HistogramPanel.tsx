import { formattedValueToString, type PanelProps } from '@grafana/data';
import { LegendDisplayMode, type VizLegendOptions } from '@grafana/schema';
import { useTheme2 } from '@grafana/ui';
import { useMemo, useState } from 'react';
import { BottomAxis, LeftAxis, labelWidth } from '../shared/Axes';
import { Hover } from '../shared/Hover';
import { NoData } from '../shared/NoData';
import { WithLegend } from '../shared/WithLegend';
import { hiddenFrom, legendItems } from '../shared/legendItems';
import { position, ticks, type Scale } from '../shared/scale';
import { histogram, type Histogram } from './buckets';

interface HistogramOptions {
  bucketCount?: number;
  bucketSize?: number;
  bucketOffset?: number;
  combine: boolean;
  legend: VizLegendOptions;
  tooltip: { mode: string };
}

export const HISTOGRAM_OPTIONS: HistogramOptions = {
  combine: false,
  legend: { showLegend: true, displayMode: LegendDisplayMode.List, placement: 'bottom', calcs: [] },
  tooltip: { mode: 'single' },
};

const AXIS_ROOM = 22;

export function HistogramPanel({ data, width, height, options, fieldConfig }: PanelProps<HistogramOptions>) {
  const theme = useTheme2();
  const shown = useMemo(() => histogram(data.series, options), [data.series, options]);
  if (!shown) return <NoData message={fieldConfig.defaults.noValue} />;
  const isOne = shown.series.some(({ source }) => !source);
  const items = isOne
    ? shown.series.map(({ name, color }) => ({ label: name, color, yAxis: 1 }))
    : legendItems(
        shown.series.flatMap(({ name, color, source }) => (source ? [{ name, color, field: source }] : [])),
        options.legend,
        theme,
      );
  const series = shown.series.filter(({ source }) => !source || !hiddenFrom(source).viz);
  return (
    <WithLegend width={width} height={height} legend={options.legend} items={items} isReadOnly={isOne}>
      {(innerWidth, innerHeight) => (
        <Drawing shown={{ ...shown, series }} width={innerWidth} height={innerHeight} />
      )}
    </WithLegend>
  );
}

function Drawing({
  shown: { bounds, series, field },
  width,
  height,
}: {
  shown: Histogram;
  width: number;
  height: number;
}) {
  const [hovered, setHovered] = useState<{ text: string; x: number; y: number }>();
  const write = (value: number) =>
    field?.display ? formattedValueToString(field.display(value)) : String(value);
  const most = Math.max(1, ...series.flatMap(({ counts }) => counts));
  const marks = ticks(0, most, height / 50).map((value) => ({ value, label: String(value) }));
  const left = labelWidth(marks.map(({ label }) => label));
  const bottom = height - AXIS_ROOM;
  const y: Scale = { min: 0, max: most, from: bottom, to: 8 };
  const x: Scale = { min: bounds[0] ?? 0, max: bounds.at(-1) ?? 1, from: left, to: width - 8 };
  const places = ticks(x.min, x.max, (width - left) / 90).map((value) => ({ value, label: write(value) }));
  return (
    <>
      <svg width={width} height={height} role="img" aria-label="Histogram">
        <LeftAxis scale={y} ticks={marks} across={{ from: left, to: width }} />
        <BottomAxis scale={x} ticks={places} across={{ from: 8, to: bottom }} />
        {series.map(({ name, color, counts }) =>
          counts.map((count, bucket) => {
            if (!count) return null;
            const [low, high] = [bounds[bucket] ?? 0, bounds[bucket + 1] ?? 0];
            const [from, to] = [position(x, low), position(x, high)];
            const top = position(y, count);
            return (
              <rect
                key={`${name} ${bucket}`}
                x={from + 0.5}
                y={top}
                width={Math.max(1, to - from - 1)}
                height={bottom - top}
                fill={color}
                fillOpacity={0.8}
                onMouseMove={({ clientX, clientY }) =>
                  setHovered({
                    text: `${name}: ${count} between ${write(low)} and ${write(high)}`,
                    x: clientX,
                    y: clientY,
                  })
                }
                onMouseLeave={() => setHovered(undefined)}
              />
            );
          }),
        )}
      </svg>
      <Hover at={hovered}>{hovered?.text}</Hover>
    </>
  );
}
