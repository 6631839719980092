/** Panels whose type is gone, made into the one that took its place. */
import type { PanelJson } from '../model';
import { migrateGraph } from './graph';
import { migrateHeatmap } from './heatmap';
import { migratePie } from './pie';
import { migrateReducedValues, migrateSinglestat } from './singlestat';
import { migrateTableOld } from './tableOld';

const RENAMED: Record<string, string> = {
  text2: 'text',
  'flant-statusmap-panel': 'status-history',
  'natel-discrete-panel': 'state-timeline',
  xychart2: 'xychart',
};

export function migratePanelType(panel: PanelJson): void {
  // Very old dashboards name the type of graphs and tables by the query's.
  if (panel.type === 'graph' || panel.type === 'graphite') migrateGraph(panel);
  else if (panel.type === 'singlestat' || panel.type === 'grafana-singlestat-panel') migrateSinglestat(panel);
  else if (panel.type === 'table-old' || (panel.type === 'table' && Array.isArray(panel.styles)))
    migrateTableOld(panel);
  else if (panel.type === 'grafana-piechart-panel') migratePie(panel);
  else if (panel.type === 'heatmap' && (panel.dataFormat || panel.yAxis)) migrateHeatmap(panel);
  else if (['stat', 'gauge', 'bargauge'].includes(panel.type)) migrateReducedValues(panel);
  panel.type = RENAMED[panel.type] ?? panel.type;
}
