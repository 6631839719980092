import { LegendDisplayMode, type VizLegendOptions } from '@grafana/schema';
import { VizLayout, VizLegend, type VizLegendItem } from '@grafana/ui';
import type { ReactElement } from 'react';

interface Props {
  width: number;
  height: number;
  legend: VizLegendOptions;
  items: VizLegendItem[];
  children: (width: number, height: number) => ReactElement;
}

/** A drawing with its legend below it or at its right. */
export function WithLegend({ width, height, legend, items, children }: Props) {
  if (!legend.showLegend || !items.length) return children(width, height);
  const placement = legend.placement ?? 'bottom';
  return (
    <VizLayout
      width={width}
      height={height}
      legend={
        <VizLayout.Legend
          placement={placement}
          {...(legend.width === undefined ? {} : { width: legend.width })}
        >
          <VizLegend
            items={items}
            placement={placement}
            displayMode={legend.displayMode ?? LegendDisplayMode.List}
          />
        </VizLayout.Legend>
      }
    >
      {children}
    </VizLayout>
  );
}
