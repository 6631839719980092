/** A dashboard that is open, stored. */
import { locationService } from '@grafana/runtime';
import {
  AdHocFiltersVariable,
  IntervalVariable,
  MultiValueVariable,
  TextBoxVariable,
  type SceneVariable,
} from '@grafana/scenes';
import { dashboards, type SaveOptions } from '~/api/dashboards';
import { slug } from '~/pages/dashboards/slug';
import type { DashboardScene } from '../../DashboardScene';
import type { DashboardJson, VariableJson } from '../../model';
import { isSame } from '../json';
import { stopEditing } from '../commit';

/** The dashboard with the time range that is shown as the one it begins with. */
export function withTime(dashboard: DashboardJson, scene: DashboardScene): DashboardJson {
  const { from, to } = scene.state.$timeRange?.state ?? dashboard.time;
  return isSame(dashboard.time, { from, to }) ? dashboard : { ...dashboard, time: { from, to } };
}

/** The dashboard with the values that are chosen as those its variables begin with. */
export function withValues(dashboard: DashboardJson, scene: DashboardScene): DashboardJson {
  const variables = scene.state.$variables?.state.variables ?? [];
  const list = dashboard.templating.list.map((json) => {
    const variable = variables.find(({ state }) => state.name === json.name);
    const next = variable ? withValue(json, variable) : json;
    return isSame(next, json) ? json : next;
  });
  const isAsBefore = list.every((each, index) => each === dashboard.templating.list[index]);
  return isAsBefore ? dashboard : { ...dashboard, templating: { ...dashboard.templating, list } };
}

function withValue(json: VariableJson, variable: SceneVariable): VariableJson {
  if (variable instanceof AdHocFiltersVariable) {
    const filters = variable.state.filters.map(({ key, operator, value }) => ({ key, operator, value }));
    return { ...json, filters };
  }
  if (variable instanceof IntervalVariable || variable instanceof TextBoxVariable) {
    const { value } = variable.state;
    return isSame(json.current?.value, value) ? json : { ...json, current: { text: value, value } };
  }
  if (!(variable instanceof MultiValueVariable)) return json;
  const { value, text } = variable.state;
  const before = [json.current?.value ?? []].flat();
  if (isSame(before, [value].flat())) return json;
  return { ...json, current: { ...json.current, text, value } };
}

/** Stores what is open; what it throws says why it was not taken. */
export async function store(
  scene: DashboardScene,
  dashboard: DashboardJson,
  options: SaveOptions,
): Promise<void> {
  const { about: before, editPanel, editView } = scene.state;
  const about = await dashboards().save(dashboard, options);
  const saved = { ...dashboard, uid: about.uid, version: about.version };
  scene.setState({ saved, dashboard: saved, about, overlay: undefined });
  if (about.uid !== before?.uid) {
    // Another dashboard has another address.
    stopEditing(scene);
    locationService.push(`/d/${about.uid}/${slug(about.title)}`);
  } else if (!editPanel && !editView) {
    stopEditing(scene);
  }
}
