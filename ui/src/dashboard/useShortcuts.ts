import { locationService } from '@grafana/runtime';
import { sceneGraph, type SceneRefreshPicker, type VizPanel } from '@grafana/scenes';
import { useEffect } from 'react';
import type { DashboardScene } from './DashboardScene';
import { openInspector } from './inspect';
import { panelId } from './PanelMenu';

/** Keys that follow `t`, `d` or `p` within this are one with it. */
const SEQUENCE_MS = 1000;

/** The keys that Grafana's users know: `t`, `d` and `p` begin pairs, `v`, `e` and `i` mean the panel under the pointer. */
export function useShortcuts(scene: DashboardScene): void {
  useEffect(() => {
    let hovered: string | undefined;
    let first = { key: '', at: 0 };
    const follow = ({ target }: MouseEvent) => {
      const panel = (target as Element | null)?.closest?.('[data-viz-panel-key]');
      hovered = panel?.getAttribute('data-viz-panel-key') ?? undefined;
    };
    const press = (event: KeyboardEvent) => {
      if (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
      const isPair = Date.now() - first.at < SEQUENCE_MS && ['t', 'd', 'p'].includes(first.key);
      const keys = isPair ? `${first.key} ${event.key}` : event.key;
      first = { key: isPair ? '' : event.key, at: Date.now() };
      act(scene, keys, hovered ? scene.findPanel(hovered) : undefined);
    };
    document.addEventListener('keydown', press);
    document.addEventListener('mouseover', follow);
    return () => {
      document.removeEventListener('keydown', press);
      document.removeEventListener('mouseover', follow);
    };
  }, [scene]);
}

const isTyping = (target: EventTarget | null) =>
  target instanceof HTMLElement &&
  (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

function act(scene: DashboardScene, keys: string, panel: VizPanel | undefined): void {
  const { timePicker, refreshPicker, kiosk, viewPanel } = scene.state;
  switch (keys) {
    case 't z':
      return timePicker.onZoom();
    case 't ArrowLeft':
      return timePicker.onMoveBackward();
    case 't ArrowRight':
      return timePicker.onMoveForward();
    case 't a':
      return timePicker.toAbsolute();
    case 'd r':
      return refresh(refreshPicker);
    case 'd k':
      return locationService.partial({ kiosk: kiosk ? null : true });
    case 'd e':
    case 'd C':
      return rows(scene, keys === 'd C');
    case 'v':
      return panel && locationService.partial({ viewPanel: viewPanel ? null : panel.state.key });
    case 'i':
      return panel && openInspector(panel, 'data');
    case 'e':
    case 'p d':
    case 'p r':
      return panel && change(scene, panel, keys);
    case 'd s':
      return scene.mayEdit() ? locationService.partial({ editView: 'general' }) : undefined;
    case 'Escape':
      if (kiosk || viewPanel) locationService.partial({ kiosk: null, viewPanel: null });
      return undefined;
    default:
      return undefined;
  }
}

/** Only what is edited already loses or gains panels by a key. */
function change(scene: DashboardScene, panel: VizPanel, keys: string): void {
  if (keys === 'e') void scene.changePanel(panelId(panel), 'edit');
  else if (scene.state.isEditing)
    void scene.changePanel(panelId(panel), keys === 'p d' ? 'duplicate' : 'remove');
}

const refresh = (picker: SceneRefreshPicker) => picker.onRefresh();

/** Opens or closes all rows. */
function rows(scene: DashboardScene, close: boolean): void {
  sceneGraph
    .findAllObjects(scene, (object) => 'onCollapseToggle' in object)
    .forEach((row) => {
      const { isCollapsed } = row.state as { isCollapsed?: boolean };
      if (Boolean(isCollapsed) !== close)
        (row as unknown as { onCollapseToggle: () => void }).onCollapseToggle();
    });
}
