import { VizPanel } from '@grafana/scenes';
import { panelData } from './data';
import type { PanelJson } from './model';
import { panelMenu } from './PanelMenu';
import { PanelLinks } from './PanelLinks';
import { PanelTimeRange } from './PanelTimeRange';

/** A panel as scenes have it. */
export function vizPanel(panel: PanelJson): VizPanel {
  const data = panelData(panel);
  const timeRange = timeOverride(panel);
  return new VizPanel({
    key: `panel-${panel.id}`,
    pluginId: panel.type,
    title: panel.title ?? '',
    ...(panel.description ? { description: panel.description } : {}),
    ...(panel.pluginVersion ? { pluginVersion: panel.pluginVersion } : {}),
    options: panel.options ?? {},
    fieldConfig: panel.fieldConfig ?? { defaults: {}, overrides: [] },
    displayMode: panel.transparent ? 'transparent' : 'default',
    // A panel without a title gives its place to what it shows.
    hoverHeader: !panel.title && !timeRange,
    menu: panelMenu(),
    titleItems: [
      new PanelLinks({ links: panel.links ?? [] }),
      ...(timeRange && !panel.hideTimeOverride ? [timeRange.label()] : []),
    ],
    ...(data ? { $data: data } : {}),
    ...(timeRange ? { $timeRange: timeRange } : {}),
  });
}

function timeOverride({ timeFrom, timeShift }: PanelJson): PanelTimeRange | undefined {
  if (!timeFrom && !timeShift) return undefined;
  return new PanelTimeRange({ ...(timeFrom ? { timeFrom } : {}), ...(timeShift ? { timeShift } : {}) });
}
