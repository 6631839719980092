/** Options of panels that newer versions keep in other places or say otherwise. */
import type { DashboardJson, PanelJson } from '../model';

type Loose = Record<string, unknown>;
const COLUMNS = 24;

/** Version 17: the least width of a repeated panel became how many fit into a row. */
export function migrateMaxPerRow(panel: PanelJson): void {
  const minSpan = panel.minSpan as number | undefined;
  if (minSpan === undefined) return;
  delete panel.minSpan;
  const fits = Math.min(COLUMNS, COLUMNS / Math.max(1, minSpan));
  // Only divisors of the width leave no gap at its end.
  panel.maxPerRow ??= [1, 2, 3, 4, 6, 8, 12, 24].findLast((divisor) => divisor <= fits) ?? 1;
}

/** Version 18: options of gauges moved. */
export function migrateGaugeOptions(panel: PanelJson): void {
  const old = panel['options-gauge'] as Loose | undefined;
  if (!old) return;
  delete panel['options-gauge'];
  const { options, valueOptions, ...rest } = old;
  panel.options = { ...rest, ...(options as Loose | undefined), ...(valueOptions ? { valueOptions } : {}) };
  if (Array.isArray(old.thresholds)) panel.options.thresholds = [...(old.thresholds as unknown[])].reverse();
}

/** Version 27: copies of repeated panels and rows, which were once saved, are made anew when shown. */
export function dropCopies(dashboard: DashboardJson): void {
  const isCopy = (panel: PanelJson) =>
    Boolean(panel.repeatPanelId) ||
    Boolean(panel.repeatedByRow) ||
    Boolean(panel.repeatIteration && panel.repeatPanelId);
  dashboard.panels = dashboard.panels.filter((panel) => !isCopy(panel));
  for (const panel of dashboard.panels) {
    if (panel.panels) panel.panels = panel.panels.filter((inner) => !isCopy(inner));
  }
}

/** Version 30: tooltips of graphs were their own option. */
export function migrateTooltip({ type, options }: PanelJson): void {
  if (!options || !['timeseries', 'xychart', 'xychart2'].includes(type)) return;
  if (options.tooltipOptions && !options.tooltip) options.tooltip = options.tooltipOptions;
  delete options.tooltipOptions;
}

/** Version 31: merging takes labels only once they are fields. Some generators leave out options altogether. */
export function migrateTransformations(panel: PanelJson): void {
  for (const transformation of panel.transformations ?? []) transformation.options ??= {};
}

/** Version 37: a legend that is hidden says so by itself; some generators have it as text or ask for a table the old way. */
export function migrateLegend({ type, options }: PanelJson): void {
  const legend = options?.legend as Loose | undefined;
  if (!legend || type === 'row') return;
  if (legend.displayMode === 'hidden' || legend.showLegend === false || legend.displayMode === 'none') {
    legend.displayMode = 'list';
    legend.showLegend = false;
  } else {
    legend.showLegend = true;
  }
  if (legend.asTable === true) legend.displayMode ??= 'table';
  delete legend.asTable;
  if (legend.placement !== 'right') legend.placement = 'bottom';
}
