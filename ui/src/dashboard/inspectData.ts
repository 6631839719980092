/** What the inspector shows of a panel. */
import {
  applyFieldOverrides,
  applyRawFieldOverrides,
  cacheFieldDisplayNames,
  type DataFrame,
  type GrafanaTheme2,
} from '@grafana/data';
import { SceneDataTransformer, sceneGraph, type VizPanel } from '@grafana/scenes';
import { allPanels, type DashboardJson, type PanelJson } from './model';

export interface Wanted {
  /** As the panel's transformations left it. */
  isTransformed: boolean;
  /** With units, decimals, names and mappings. */
  isFormatted: boolean;
}

/** The frames of a panel. Tables need each field to know how its values are written, which frames as they came do not. */
export function inspectedFrames(
  panel: VizPanel,
  { isTransformed, isFormatted }: Wanted,
  theme: GrafanaTheme2,
): DataFrame[] {
  const provider = sceneGraph.getData(panel);
  const source = !isTransformed && provider instanceof SceneDataTransformer ? provider.state.$data : provider;
  const frames = source?.state.data?.series ?? [];
  const fieldConfigRegistry = panel.getPlugin()?.fieldConfigRegistry;
  if (!isFormatted || !fieldConfigRegistry) return applyRawFieldOverrides(frames);
  const shown = applyFieldOverrides({
    data: frames,
    fieldConfig: panel.state.fieldConfig,
    fieldConfigRegistry,
    theme,
    replaceVariables: panel.interpolate,
    timeZone: sceneGraph.getTimeRange(panel).getTimeZone(),
  });
  // Without it, names that transformations gave are not the ones shown.
  cacheFieldDisplayNames(shown);
  return shown;
}

/** The panel as the dashboard keeps it; of a panel that no dashboard keeps, what it shows. */
export function storedPanel(panel: VizPanel, id: number, dashboard: DashboardJson | undefined): object {
  const stored = dashboard && [...allPanels(dashboard.panels)].find((each: PanelJson) => each.id === id);
  if (stored) return stored;
  const { title, description, pluginId, options, fieldConfig } = panel.state;
  return { title, description, type: pluginId, options, fieldConfig };
}
