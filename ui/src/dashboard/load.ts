import { migrate } from './migrations';
import { SCHEMA_VERSION, allPanels, type DashboardJson, type PanelJson } from './model';
import { isV2, fromV2 } from './v2';

/** What is not a dashboard, in words for who tries to import it. */
export class NotADashboard extends Error {}

/**
 * Reads a dashboard of any version of the schema: v1 since version 14, with what older ones are likely to hold, and v2; also wrapped
 * in what exports and APIs put around it. The input is left as it is.
 */
export function loadDashboard(input: unknown): DashboardJson {
  const unwrapped = unwrap(structuredClone(input));
  const json = isV2(unwrapped) ? fromV2(unwrapped) : unwrapped;
  const dashboard = complete(json);
  migrate(dashboard);
  dashboard.schemaVersion = Math.max(SCHEMA_VERSION, dashboard.schemaVersion);
  fillIn(dashboard);
  return dashboard;
}

type Loose = Record<string, unknown>;

function unwrap(input: unknown): Loose {
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    throw new NotADashboard('this is not a JSON object');
  const json = input as Loose;
  if (typeof json.dashboard === 'object' && json.dashboard) return unwrap(json.dashboard);
  // A Kubernetes object holds v1 dashboards in its specification as they are.
  if (typeof json.spec === 'object' && json.spec && !isV2(json)) {
    const name = (json.metadata as Loose | undefined)?.name;
    const spec = json.spec as Loose;
    if (Array.isArray(spec.panels)) return { uid: name, ...spec };
  }
  return json;
}

/** Puts in what every dashboard has, and what is null in some. */
function complete(json: Loose): DashboardJson {
  if (!Array.isArray(json.panels) && !Array.isArray(json.rows) && typeof json.title !== 'string') {
    throw new NotADashboard('this is no dashboard: it has neither panels nor a title');
  }
  const dashboard = json as DashboardJson;
  const list = <T>(value: unknown) => (Array.isArray(value) ? (value as T[]) : []);
  dashboard.uid = typeof json.uid === 'string' ? json.uid : '';
  dashboard.title = typeof json.title === 'string' && json.title ? json.title : 'New dashboard';
  dashboard.tags = list(json.tags);
  dashboard.links = list(json.links);
  dashboard.panels = list(json.panels);
  dashboard.schemaVersion = Number(json.schemaVersion ?? 0);
  const templating = json.templating as Loose | undefined;
  const annotations = json.annotations as Loose | undefined;
  dashboard.templating = { ...templating, list: list(templating?.list) };
  dashboard.annotations = { ...annotations, list: list(annotations?.list) };
  dashboard.timepicker = (json.timepicker as DashboardJson['timepicker'] | undefined) ?? {};
  const time = (json.time ?? {}) as Partial<DashboardJson['time']>;
  dashboard.time = { ...time, from: String(time.from ?? 'now-6h'), to: String(time.to ?? 'now') };
  dashboard.graphTooltip = Number(json.graphTooltip ?? (json.sharedCrosshair ? 1 : 0));
  return dashboard;
}

/** Ids, names of queries and places that hand-written and generated dashboards leave out. */
function fillIn(dashboard: DashboardJson): void {
  const taken = new Set<number>();
  for (const { id } of allPanels(dashboard.panels)) if (id) taken.add(id);
  let next = Math.max(0, ...taken) + 1;
  const seen = new Set<number>();
  for (const panel of allPanels(dashboard.panels)) {
    if (!panel.id || seen.has(panel.id)) panel.id = next++;
    seen.add(panel.id);
    panel.gridPos = { ...{ x: 0, y: 0, w: 12, h: 8 }, ...panel.gridPos };
    nameTargets(panel);
  }
}

/** Queries are called A, B, C, ... in order, and no two the same. */
function nameTargets(panel: PanelJson): void {
  const targets = panel.targets ?? [];
  const taken = new Set(targets.map(({ refId }) => refId));
  let next = 0;
  for (const target of targets) {
    if (target.refId) continue;
    while (taken.has(refIdAt(next))) next++;
    target.refId = refIdAt(next);
    taken.add(target.refId);
  }
}

/** A to Z, then AA, AB, ... */
export function refIdAt(index: number): string {
  const letter = String.fromCharCode(65 + (index % 26));
  return index < 26 ? letter : refIdAt(Math.floor(index / 26) - 1) + letter;
}
