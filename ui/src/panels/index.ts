/** The panels there are, each loaded when a dashboard first shows one. */
import type { PanelPlugin } from '@grafana/data';

type Module = Promise<{ plugin: PanelPlugin }>;

const PANELS: Record<string, () => Module> = {
  alertlist: () => import('./alertlist'),
  barchart: () => import('./barchart'),
  bargauge: () => import('./bargauge'),
  dashlist: () => import('./dashlist'),
  gauge: () => import('./gauge'),
  heatmap: () => import('./heatmap'),
  histogram: () => import('./histogram'),
  logs: () => import('./logs'),
  piechart: () => import('./piechart'),
  stat: () => import('./stat'),
  'state-timeline': () => import('./state/timeline'),
  'status-history': () => import('./state/history'),
  table: () => import('./table'),
  text: () => import('./text'),
  timeseries: () => import('./timeseries'),
  xychart: () => import('./xychart'),
};

export const PANEL_TYPES = Object.keys(PANELS);

const loaded = new Map<string, PanelPlugin>();

export function loadedPanelPlugin(id: string): PanelPlugin | undefined {
  return loaded.get(id);
}

export async function importPanelPlugin(id: string): Promise<PanelPlugin> {
  const known = loaded.get(id);
  if (known) return known;
  const load = Object.hasOwn(PANELS, id) ? PANELS[id] : undefined;
  const plugin = load ? (await load()).plugin : (await import('./unknown')).unknownPanel(id);
  loaded.set(id, plugin);
  return plugin;
}
