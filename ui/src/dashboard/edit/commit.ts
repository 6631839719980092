/** Changes of the dashboard that is open: made, shown, taken back. */
import { locationService } from '@grafana/runtime';
import {
  SceneGridRow,
  SceneObjectStateChangedEvent,
  StateCommittedEvent,
  VizPanel,
  sceneGraph,
} from '@grafana/scenes';
import { dashboards } from '~/api/dashboards';
import type { DashboardScene, PanelChange } from '../DashboardScene';
import { loadDashboard } from '../load';
import type { DashboardJson, PanelJson } from '../model';
import { toScene } from '../toScene';
import { isSame } from './json';
import { panelsOf, showPanels } from './layout';
import { addPanel, duplicatePanel, findPanel, nudgePanel, removePanel, type Nudge } from './panels';

/** How many changes can be taken back. */
const PAST_MAX = 50;

export const isChanged = ({ state: { dashboard, saved } }: DashboardScene): boolean =>
  !isSame(dashboard, saved);

export function startEditing(scene: DashboardScene): void {
  if (scene.state.isEditing) return;
  scene.setState({ isEditing: true, past: [], future: [] });
  makeMovable(scene, true);
}

/** Ends editing; what was changed is as it was stored, unless it has been saved. */
export function stopEditing(scene: DashboardScene): void {
  const { saved } = scene.state;
  const isGone = isChanged(scene);
  scene.setState({
    isEditing: false,
    past: [],
    future: [],
    overlay: undefined,
    editPanel: undefined,
    editView: undefined,
  });
  makeMovable(scene, false);
  if (isGone) show(scene, saved);
}

export function makeMovable(scene: DashboardScene, isMovable: boolean): void {
  scene.state.body.setState({ isDraggable: isMovable, isResizable: isMovable });
  // Panels find out whether they can be taken hold of as they are drawn.
  for (const panel of sceneGraph.findAllObjects(scene.state.body, (object) => object instanceof VizPanel))
    panel.forceRender();
}

/** Follows what is done in the grid by the pointer, until the function it gives is called. */
export function followGrid(scene: DashboardScene): () => void {
  const take = () => {
    const { dashboard, body } = scene.state;
    const panels = panelsOf(body, dashboard.panels);
    if (!isSame(panels, dashboard.panels)) remember(scene, { ...dashboard, panels });
  };
  const moved = scene.subscribeToEvent(StateCommittedEvent, take);
  const opened = scene.subscribeToEvent(SceneObjectStateChangedEvent, ({ payload }) => {
    const isRow = payload.changedObject instanceof SceneGridRow;
    // The grid moves what lies below only after it has opened the row.
    if (isRow && 'isCollapsed' in payload.partialUpdate) queueMicrotask(take);
  });
  return () => {
    moved.unsubscribe();
    opened.unsubscribe();
  };
}

/** Makes a change: it can be taken back, and is lost unless it is saved. */
export function commit(scene: DashboardScene, next: DashboardJson): void {
  const before = scene.state.dashboard;
  if (isSame(before, next)) return;
  remember(scene, next);
  show(scene, next, before);
}

function remember(scene: DashboardScene, next: DashboardJson): void {
  const { dashboard, past = [] } = scene.state;
  scene.setState({ dashboard: next, past: [...past, dashboard].slice(-PAST_MAX), future: [] });
}

export function commitPanels(scene: DashboardScene, panels: PanelJson[]): void {
  commit(scene, { ...scene.state.dashboard, panels });
}

export function undo(scene: DashboardScene): void {
  const { dashboard, past = [], future = [] } = scene.state;
  const last = past.at(-1);
  if (!last) return;
  scene.setState({ dashboard: last, past: past.slice(0, -1), future: [...future, dashboard] });
  show(scene, last, dashboard);
}

export function redo(scene: DashboardScene): void {
  const { dashboard, past = [], future = [] } = scene.state;
  const next = future.at(-1);
  if (!next) return;
  scene.setState({ dashboard: next, past: [...past, dashboard], future: future.slice(0, -1) });
  show(scene, next, dashboard);
}

/** What only a new scene shows. */
const FUNDAMENTAL = [
  'templating',
  'annotations',
  'timepicker',
  'timezone',
  'weekStart',
  'fiscalYearStartMonth',
  'refresh',
  'graphTooltip',
];

function show(scene: DashboardScene, next: DashboardJson, before = scene.state.dashboard): void {
  if (FUNDAMENTAL.some((name) => !isSame(before[name], next[name]))) return rebuild(scene, next);
  scene.setState({ dashboard: next });
  if (!isSame(before.panels, next.panels)) {
    showPanels(scene.state.body, before.panels, next.panels);
    makeMovable(scene, Boolean(scene.state.isEditing));
  }
}

/** Shows the dashboard in a new scene; the address has what was chosen in the old one. */
export function rebuild(scene: DashboardScene, dashboard: DashboardJson): void {
  const { saved, about, isEditing, past, future, overlay, replace, isStarred, editPanel, editView } =
    scene.state;
  const next = toScene(dashboard);
  next.setState({
    saved,
    ...(about ? { about } : {}),
    ...(isEditing ? { isEditing, past: past ?? [], future: future ?? [] } : {}),
    ...(overlay ? { overlay } : {}),
    ...(replace ? { replace } : {}),
    isStarred: isStarred ?? false,
    editPanel,
    editView,
  });
  if (isEditing) next.state.body.setState({ isDraggable: true, isResizable: true });
  replace?.(next);
}

const STEPS: Partial<Record<PanelChange, Nudge>> = {
  left: { x: -1 },
  right: { x: 1 },
  up: { y: -1 },
  down: { y: 1 },
  wider: { w: 1 },
  narrower: { w: -1 },
  taller: { h: 1 },
  shorter: { h: -1 },
};

/** Where a panel that was copied is kept, for other dashboards too. */
const CLIPBOARD = 'bartizan.panel';

export function changePanel(scene: DashboardScene, id: number, change: PanelChange): void {
  startEditing(scene);
  const { panels } = scene.state.dashboard;
  const step = STEPS[change];
  if (step) return commitPanels(scene, nudgePanel(panels, id, step));
  switch (change) {
    case 'edit':
      return locationService.partial({ editPanel: id, viewPanel: null });
    case 'duplicate':
      return commitPanels(scene, duplicatePanel(panels, id)?.panels ?? panels);
    case 'remove':
      return commitPanels(scene, removePanel(panels, id));
    default:
      return localStorage.setItem(CLIPBOARD, JSON.stringify(findPanel(panels, id)));
  }
}

export function copiedPanel(): PanelJson | undefined {
  try {
    return (JSON.parse(localStorage.getItem(CLIPBOARD) ?? 'null') as PanelJson | null) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Adds a panel at the top and gives its number. */
export function insertPanel(scene: DashboardScene, panel: Omit<PanelJson, 'id' | 'gridPos'>): number {
  const { panels, id } = addPanel(scene.state.dashboard.panels, panel);
  commitPanels(scene, panels);
  return id;
}

/** Takes a change that is shown only once `settle` is called: one of settings, or of a panel in its editor. */
export function record(scene: DashboardScene, dashboard: DashboardJson): void {
  scene.setState({ dashboard });
}

/** Shows what was recorded since the dashboard was `before`; all of it is taken back as one. */
export function settle(scene: DashboardScene, before: DashboardJson): void {
  const { dashboard, past = [] } = scene.state;
  if (isSame(before, dashboard)) return;
  scene.setState({ past: [...past, before].slice(-PAST_MAX), future: [] });
  show(scene, dashboard, before);
}

/** Shows the dashboard as it is stored now, without what was changed here. */
export async function reopen(scene: DashboardScene): Promise<void> {
  const kept = await dashboards().open(scene.state.saved.uid);
  if (!kept) return;
  const { about, dashboard } = kept;
  const saved = { ...loadDashboard(dashboard), uid: about.uid, version: about.version };
  scene.setState({ about, saved, dashboard: saved, isEditing: false, past: [], future: [] });
  scene.setState({ editPanel: undefined, editView: undefined });
  rebuild(scene, saved);
}
