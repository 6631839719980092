/** A dashboard's JSON as a scene: what the browser shows. */
import type { AnnotationQuery } from '@grafana/data';
import {
  SceneDataLayerSet,
  SceneGridLayout,
  SceneRefreshPicker,
  SceneTimePicker,
  SceneTimeRange,
  VariableValueSelectors,
  behaviors,
  dataLayers,
} from '@grafana/scenes';
import { loadPreferences } from '~/app/preferences';
import { DashboardScene } from './DashboardScene';
import { gridItems } from './gridItems';
import type { DashboardJson } from './model';
import { sceneVariables } from './variables';

const REFRESH_INTERVALS = ['5s', '10s', '30s', '1m', '5m', '15m', '30m', '1h', '2h', '1d'];

export function toScene(dashboard: DashboardJson): DashboardScene {
  const { timepicker, refresh, time, weekStart, fiscalYearStartMonth } = dashboard;
  return new DashboardScene({
    dashboard,
    saved: dashboard,
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
    body: new SceneGridLayout({ key: 'grid', isLazy: true, children: gridItems(dashboard.panels) }),
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
