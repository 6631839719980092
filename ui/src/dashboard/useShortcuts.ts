import { locationService } from '@grafana/runtime';
import { VizPanel, behaviors, sceneGraph, type SceneObject } from '@grafana/scenes';
import { useEffect } from 'react';
import { followKeys } from '~/app/keys';
import type { DashboardScene } from './DashboardScene';
import { openInspector } from './inspect';
import { explorePanel, panelId } from './PanelMenu';
import { copyTime, pasteTime } from './timeClipboard';

/** The keys that Grafana's users know; those that mean a panel mean the one under the pointer, or else with the focus. */
export function useShortcuts(scene: DashboardScene): void {
  useEffect(() => {
    let hovered: string | undefined;
    const keyOf = (element: Element | null) =>
      element?.closest?.('[data-viz-panel-key]')?.getAttribute('data-viz-panel-key') ?? undefined;
    const follow = ({ target }: MouseEvent) => {
      hovered = keyOf(target as Element | null);
    };
    const leave = followKeys((keys) => {
      const meant = hovered ?? keyOf(document.activeElement);
      return (
        onDashboard(scene, keys) ||
        onTime(scene, keys) ||
        onPanel(scene, keys, meant ? scene.findPanel(meant) : undefined)
      );
    });
    document.addEventListener('mouseover', follow);
    return () => {
      leave();
      document.removeEventListener('mouseover', follow);
    };
  }, [scene]);
}

function onDashboard(scene: DashboardScene, keys: string): boolean {
  const { refreshPicker, kiosk, viewPanel, isEditing } = scene.state;
  switch (keys) {
    case 'd r':
      refreshPicker.onRefresh();
      return true;
    case 'd k':
      locationService.partial({ kiosk: kiosk ? null : true });
      return true;
    case 'd e':
    case 'd C':
      rows(scene, keys === 'd C');
      return true;
    case 'd s':
      if (scene.mayEdit()) locationService.partial({ editView: 'general' });
      return true;
    case 'd l':
      toggleLegends(panels(scene));
      return true;
    case 'mod+o':
      shareCursor(scene);
      return true;
    case 'mod+s':
      // Only what is edited is saved; elsewhere the browser's own way is left.
      if (isEditing) scene.show({ kind: 'save' });
      return Boolean(isEditing);
    case 'Escape':
      if (kiosk || viewPanel) locationService.partial({ kiosk: null, viewPanel: null });
      return false;
    default:
      return false;
  }
}

function onTime(scene: DashboardScene, keys: string): boolean {
  const { timePicker } = scene.state;
  switch (keys) {
    case 't z':
      timePicker.onZoom();
      return true;
    case 't ArrowLeft':
      timePicker.onMoveBackward();
      return true;
    case 't ArrowRight':
      timePicker.onMoveForward();
      return true;
    case 't a':
      timePicker.toAbsolute();
      return true;
    case 't c':
      void copyTime(sceneGraph.getTimeRange(scene));
      return true;
    case 't v':
      void pasteTime(sceneGraph.getTimeRange(scene));
      return true;
    default:
      return false;
  }
}

function onPanel(scene: DashboardScene, keys: string, panel: VizPanel | undefined): boolean {
  if (!panel) return false;
  switch (keys) {
    case 'v':
      locationService.partial({ viewPanel: scene.state.viewPanel ? null : panel.state.key });
      return true;
    case 'i':
      openInspector(panel, 'data');
      return true;
    case 'p x':
      explorePanel(panel);
      return true;
    case 'p l':
      toggleLegends([panel]);
      return true;
    case 'e':
      void scene.changePanel(panelId(panel), 'edit');
      return true;
    case 'p d':
    case 'p r':
      // Only what is edited already loses or gains panels by a key.
      if (scene.state.isEditing)
        void scene.changePanel(panelId(panel), keys === 'p d' ? 'duplicate' : 'remove');
      return true;
    default:
      return false;
  }
}

const panels = (scene: DashboardScene) =>
  sceneGraph.findAllObjects(scene, (object) => object instanceof VizPanel) as VizPanel[];

/** Hides legends if one is shown, or shows all; panels without one stay as they are. */
function toggleLegends(all: VizPanel[]): void {
  type Legend = { showLegend?: boolean };
  const legendOf = (panel: VizPanel) => (panel.state.options as { legend?: Legend }).legend;
  const having = all.filter((panel) => panel.getPlugin() && legendOf(panel));
  const showLegend = !having.some((panel) => legendOf(panel)?.showLegend !== false);
  for (const panel of having) panel.onOptionsChange({ legend: { ...legendOf(panel), showLegend } });
}

/** What panels share under the pointer: nothing, then the crosshair, then the tooltip. */
function shareCursor(scene: DashboardScene): void {
  const KINDS = 3;
  for (const object of scene.state.$behaviors ?? []) {
    if (object instanceof behaviors.CursorSync)
      object.setState({ sync: (((object.state.sync as number) + 1) % KINDS) as never });
  }
  for (const panel of panels(scene)) panel.forceRender();
}

/** Opens or closes all rows. */
function rows(scene: DashboardScene, close: boolean): void {
  type Row = SceneObject & { onCollapseToggle: () => void };
  sceneGraph
    .findAllObjects(scene, (object) => 'onCollapseToggle' in object)
    .forEach((row) => {
      const { isCollapsed } = row.state as { isCollapsed?: boolean };
      if (Boolean(isCollapsed) !== close) (row as Row).onCollapseToggle();
    });
}
