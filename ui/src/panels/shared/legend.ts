import {
  LegendDisplayMode,
  SortOrder,
  TooltipDisplayMode,
  type VizLegendOptions,
  type VizTooltipOptions,
} from '@grafana/schema';

export interface GraphOptions {
  legend: VizLegendOptions;
  tooltip: VizTooltipOptions;
}

export const LEGEND: VizLegendOptions = {
  showLegend: true,
  displayMode: LegendDisplayMode.List,
  placement: 'bottom',
  calcs: [],
};

export const TOOLTIP: VizTooltipOptions = {
  mode: TooltipDisplayMode.Single,
  sort: SortOrder.None,
  hideZeros: false,
};
