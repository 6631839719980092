/** The panels of a dashboard as things in a grid. */
import { SceneGridRow, type SceneGridItemLike } from '@grafana/scenes';
import type { PanelJson } from './model';
import { vizPanel } from './panel';
import { PanelGridItem } from './PanelGridItem';
import { RowActions } from './RowActions';
import { RowRepeat } from './RowRepeat';

const GRID_WIDTH = 24;

/** Panels after a row that is open belong to it, as those within one that is closed. */
export function gridItems(panels: PanelJson[], make = gridItem): SceneGridItemLike[] {
  const items: SceneGridItemLike[] = [];
  let open: { row: PanelJson; children: PanelJson[] } | undefined;
  const close = () => {
    if (open) items.push(gridRow(open.row, open.children.map(make)));
    open = undefined;
  };
  for (const panel of panels) {
    if (panel.type === 'row') {
      close();
      if (panel.collapsed) items.push(gridRow(panel, (panel.panels ?? []).map(make)));
      else open = { row: panel, children: [...(panel.panels ?? [])] };
    } else if (open) {
      open.children.push(panel);
    } else {
      items.push(make(panel));
    }
  }
  close();
  return items;
}

function gridRow(row: PanelJson, children: PanelGridItem[]): SceneGridRow {
  return new SceneGridRow({
    key: `row-${row.id}`,
    title: row.title ?? '',
    y: row.gridPos.y,
    isCollapsed: row.collapsed ?? false,
    children,
    actions: new RowActions({ rowId: row.id ?? 0 }),
    $behaviors: row.repeat ? [new RowRepeat({ variableName: row.repeat })] : [],
  });
}

export function gridItem(panel: PanelJson): PanelGridItem {
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
