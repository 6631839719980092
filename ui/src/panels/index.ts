/** The panels there are, each loaded when a dashboard first shows one. */
import type { PanelPlugin } from '@grafana/data';

type Module = Promise<{ plugin: PanelPlugin }>;

const PANELS: Record<string, () => Module> = {
  bargauge: () => import('./bargauge'),
  gauge: () => import('./gauge'),
  logs: () => import('./logs'),
  stat: () => import('./stat'),
  table: () => import('./table'),
  text: () => import('./text'),
  timeseries: () => import('./timeseries'),
};

export const PANEL_TYPES = Object.keys(PANELS);

const loaded = new Map<string, PanelPlugin>();

export function loadedPanelPlugin(id: string): PanelPlugin | undefined {
  return loaded.get(id);
}

export async function importPanelPlugin(id: string): Promise<PanelPlugin> {
  const known = loaded.get(id);
  if (known) return known;
  const load = PANELS[id];
  if (!load) throw new Error(`There is no panel of type ${id}`);
  const { plugin } = await load();
  loaded.set(id, plugin);
  return plugin;
}
