import type { PanelProps } from '@grafana/data';
import { LegendDisplayMode, SortOrder, TooltipDisplayMode } from '@grafana/schema';
import type { VizLegendOptions, VizTooltipOptions } from '@grafana/schema';
import { useTheme2 } from '@grafana/ui';
import { useMemo } from 'react';
import { NoData } from '../shared/NoData';
import { WithLegend } from '../shared/WithLegend';
import { legendItems } from '../shared/legendItems';
import { Bars } from './Bars';
import { readChart, type Stacking } from './chart';

export interface BarOptions {
  xField?: string;
  colorByField?: string;
  orientation: 'auto' | 'horizontal' | 'vertical';
  stacking: Stacking;
  showValue: 'auto' | 'always' | 'never';
  groupWidth: number;
  barWidth: number;
  barRadius: number;
  xTickLabelRotation: number;
  xTickLabelMaxLength?: number;
  text?: { valueSize?: number };
  legend: VizLegendOptions;
  tooltip: VizTooltipOptions;
}

export const BAR_OPTIONS: BarOptions = {
  orientation: 'auto',
  stacking: 'none',
  showValue: 'auto',
  groupWidth: 0.7,
  barWidth: 0.97,
  barRadius: 0,
  xTickLabelRotation: 0,
  legend: { showLegend: true, displayMode: LegendDisplayMode.List, placement: 'bottom', calcs: [] },
  tooltip: { mode: TooltipDisplayMode.Single, sort: SortOrder.None, hideZeros: false },
};

export const BAR_FIELD_OPTIONS = {
  lineWidth: 1,
  fillOpacity: 80,
  gradientMode: 'none',
  axisPlacement: 'auto',
  axisLabel: '',
  axisSoftMin: undefined,
  axisSoftMax: undefined,
  hideFrom: { tooltip: false, viz: false, legend: false },
};

export function BarChartPanel(props: PanelProps<BarOptions>) {
  const { data, width, height, options, fieldConfig, timeZone } = props;
  const theme = useTheme2();
  const { xField, colorByField } = options;
  const chart = useMemo(
    () => readChart(data.series, { xField, colorByField, timeZone }, theme),
    [data.series, xField, colorByField, timeZone, theme],
  );
  if (!chart?.series.length || !chart.categories.length)
    return <NoData message={fieldConfig.defaults.noValue} />;
  const isHorizontal =
    options.orientation === 'horizontal' || (options.orientation === 'auto' && width < height);
  return (
    <WithLegend
      width={width}
      height={height}
      legend={options.legend}
      items={legendItems(chart.series, options.legend, theme)}
    >
      {(innerWidth, innerHeight) => (
        <Bars
          chart={chart}
          width={innerWidth}
          height={innerHeight}
          options={options}
          isHorizontal={isHorizontal}
        />
      )}
    </WithLegend>
  );
}
