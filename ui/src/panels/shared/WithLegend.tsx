import { LegendDisplayMode, type VizLegendOptions } from '@grafana/schema';
import { VizLayout, VizLegend, type VizLegendItem } from '@grafana/ui';
import type { ReactElement } from 'react';

interface Props {
  width: number;
  height: number;
  legend: VizLegendOptions;
  items: VizLegendItem[];
  /** Where entries are not series, a click must not hide series of their names. */
  isReadOnly?: boolean;
  children: (width: number, height: number) => ReactElement;
}

/** A drawing with its legend below it or at its right. */
export function WithLegend({ width, height, legend, items, isReadOnly = false, children }: Props) {
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
            readonly={isReadOnly}
            isSortable={!isReadOnly}
            {...(legend.sortBy === undefined ? {} : { sortBy: legend.sortBy })}
            {...(legend.sortDesc === undefined ? {} : { sortDesc: legend.sortDesc })}
          />
        </VizLayout.Legend>
      }
    >
      {children}
    </VizLayout>
  );
}
