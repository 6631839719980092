/** A dashboard's JSON as a scene: what the browser shows. */
import type { AnnotationQuery } from '@grafana/data';
import {
  SceneDataLayerSet,
  SceneGridLayout,
  SceneGridRow,
  SceneRefreshPicker,
  SceneTimePicker,
  SceneTimeRange,
  VariableValueSelectors,
  behaviors,
  dataLayers,
  type SceneGridItemLike,
} from '@grafana/scenes';
import { loadPreferences } from '~/app/preferences';
import { DashboardScene } from './DashboardScene';
import type { DashboardJson, PanelJson } from './model';
import { PanelGridItem } from './PanelGridItem';
import { RowRepeat } from './RowRepeat';
import { vizPanel } from './panel';
import { sceneVariables } from './variables';

const REFRESH_INTERVALS = ['5s', '10s', '30s', '1m', '5m', '15m', '30m', '1h', '2h', '1d'];
const GRID_WIDTH = 24;

export function toScene(dashboard: DashboardJson): DashboardScene {
  const { timepicker, refresh, time, weekStart, fiscalYearStartMonth } = dashboard;
  return new DashboardScene({
    dashboard,
    $timeRange: new SceneTimeRange({
      ...time,
      timeZone: timeZone(dashboard),
      ...(weekStart ? { weekStart: weekStart as never } : {}),
      ...(fiscalYearStartMonth ? { fiscalYearStartMonth } : {}),
      ...(timepicker.nowDelay ? { UNSAFE_nowDelay: timepicker.nowDelay } : {}),
    }),
    $variables: sceneVariables(dashboard.templating.list),
    $data: annotations(dashboard),
    $behaviors: [
      new behaviors.CursorSync({ key: 'cursor', sync: dashboard.graphTooltip as never }),
      new behaviors.SceneQueryController(),
    ],
    selectors: new VariableValueSelectors({}),
    timePicker: new SceneTimePicker({ isOnCanvas: true, hidePicker: timepicker.hidden ?? false }),
    refreshPicker: new SceneRefreshPicker({
      refresh: typeof refresh === 'string' ? refresh : '',
      intervals: timepicker.refresh_intervals ?? REFRESH_INTERVALS,
      isOnCanvas: true,
      withText: true,
    }),
    body: new SceneGridLayout({ isLazy: true, children: gridItems(dashboard.panels) }),
  });
}

/** The dashboard's own time zone, or else the user's. */
function timeZone({ timezone }: DashboardJson): string {
  return timezone && timezone !== 'default' ? timezone : loadPreferences().timeZone;
}

function annotations({ annotations: { list } }: DashboardJson): SceneDataLayerSet {
  // The one that is built in shows what a Grafana server keeps in its database.
  const queries = list.filter(
    ({ builtIn, datasource }) =>
      !builtIn && !(datasource as { uid?: string } | undefined)?.uid?.startsWith('-- '),
  );
  return new SceneDataLayerSet({
    layers: queries.map(
      (query, index) =>
        new dataLayers.AnnotationsDataLayer({
          key: `annotations-${index}`,
          name: query.name,
          isEnabled: query.enable ?? true,
          isHidden: query.hide ?? false,
          query: query as AnnotationQuery,
        }),
    ),
  });
}

/** Panels after a row that is open belong to it, as those within one that is closed. */
function gridItems(panels: PanelJson[]): SceneGridItemLike[] {
  const items: SceneGridItemLike[] = [];
  let open: { row: PanelJson; children: PanelJson[] } | undefined;
  const close = () => {
    if (open) items.push(gridRow(open.row, open.children));
    open = undefined;
  };
  for (const panel of panels) {
    if (panel.type === 'row') {
      close();
      if (panel.collapsed) items.push(gridRow(panel, panel.panels ?? []));
      else open = { row: panel, children: [...(panel.panels ?? [])] };
    } else if (open) {
      open.children.push(panel);
    } else {
      items.push(gridItem(panel));
    }
  }
  close();
  return items;
}

function gridRow(row: PanelJson, panels: PanelJson[]): SceneGridRow {
  return new SceneGridRow({
    key: `row-${row.id}`,
    title: row.title ?? '',
    y: row.gridPos.y,
    isCollapsed: row.collapsed ?? false,
    children: panels.map(gridItem),
    $behaviors: row.repeat ? [new RowRepeat({ variableName: row.repeat })] : [],
  });
}

function gridItem(panel: PanelJson): PanelGridItem {
  const { x, y, w, h } = panel.gridPos;
  const direction = panel.repeatDirection ?? 'h';
  return new PanelGridItem({
    key: `item-${panel.id}`,
    x,
    y,
    // Copies side by side take the whole width.
    width: panel.repeat && direction === 'h' ? GRID_WIDTH : w,
    height: h,
    itemHeight: h,
    direction,
    maxPerRow: panel.maxPerRow ?? 4,
    body: vizPanel(panel),
    ...(panel.repeat ? { repeat: panel.repeat } : {}),
  });
}
