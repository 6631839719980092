/** The grid of a scene and the panels of the JSON it shows, brought in line with each other. */
import type { SceneGridLayout } from '@grafana/scenes';
import { SceneGridRow, type SceneGridItemLike } from '@grafana/scenes';
import { gridItem, gridItems } from '../gridItems';
import { allPanels, type GridPos, type PanelJson } from '../model';
import { PanelGridItem } from '../PanelGridItem';
import { isSame } from './json';

const idOf = (object: SceneGridItemLike): number =>
  Number(/^(?:item|row)-(\d+)/.exec(object.state.key ?? '')?.[1]);

const isCopy = (object: SceneGridItemLike) =>
  Boolean((object.state as { repeatSourceKey?: string }).repeatSourceKey);

const inOrder = (items: SceneGridItemLike[]) =>
  [...items].sort((a, b) => (a.state.y ?? 0) - (b.state.y ?? 0) || (a.state.x ?? 0) - (b.state.x ?? 0));

/** The panels at the places, and in the rows, in which the grid has them. */
export function panelsOf(body: SceneGridLayout, panels: PanelJson[]): PanelJson[] {
  const known = new Map([...allPanels(panels)].map((panel) => [panel.id, panel]));
  const placed = (item: SceneGridItemLike): PanelJson[] => {
    const panel = known.get(idOf(item));
    return panel && item instanceof PanelGridItem ? [at(panel, placeOf(item, panel))] : [];
  };
  return inOrder(body.state.children).flatMap((child) => {
    if (isCopy(child)) return [];
    if (!(child instanceof SceneGridRow)) return placed(child);
    const row = known.get(idOf(child));
    if (!row) return [];
    const inner = inOrder(child.state.children).flatMap(placed);
    const isClosed = child.state.isCollapsed ?? false;
    const place = { ...row.gridPos, x: 0, y: child.state.y ?? row.gridPos.y };
    const moved = at(row, place);
    const held = isClosed ? inner : [];
    const isAsBefore = Boolean(row.collapsed) === isClosed && isSame(row.panels ?? [], held);
    const next = isAsBefore ? moved : { ...moved, collapsed: isClosed, panels: held };
    return isClosed ? [next] : [next, ...inner];
  });
}

const at = (panel: PanelJson, gridPos: GridPos): PanelJson =>
  isSame(panel.gridPos, gridPos) ? panel : { ...panel, gridPos };

function placeOf(item: PanelGridItem, { gridPos }: PanelJson): GridPos {
  const {
    x = gridPos.x,
    y = gridPos.y,
    width = gridPos.w,
    height = gridPos.h,
    repeat,
    direction,
  } = item.state;
  if (!repeat) return { ...gridPos, x, y, w: width, h: height };
  const h = item.takeHeight();
  // Copies side by side take all columns, whatever the panel itself would.
  return direction === 'h' ? { ...gridPos, y, h } : { ...gridPos, x, y, w: width, h };
}

/** Shows other panels; those that stay as they are keep their data. */
export function showPanels(body: SceneGridLayout, before: PanelJson[], next: PanelJson[]): void {
  const kept = reusable(body, before);
  const make = (panel: PanelJson) => {
    const found = kept.get(panel.id);
    if (!found || !isSame({ ...found.panel, gridPos: null }, { ...panel, gridPos: null }))
      return gridItem(panel);
    const { x, y, w, h } = panel.gridPos;
    found.item.clearParent();
    found.item.setState({ x, y, width: w, height: h, itemHeight: h });
    return found.item;
  };
  body.setState({ children: gridItems(next, make) });
}

/** Panels shown once each. What a row repeats for a variable has values of its own, and is made anew. */
function reusable(body: SceneGridLayout, before: PanelJson[]) {
  const known = new Map([...allPanels(before)].map((panel) => [panel.id, panel]));
  const kept = new Map<number | undefined, { item: PanelGridItem; panel: PanelJson }>();
  const keep = (item: SceneGridItemLike) => {
    const panel = known.get(idOf(item));
    if (item instanceof PanelGridItem && panel && !item.state.repeat) kept.set(panel.id, { item, panel });
  };
  for (const child of body.state.children) {
    if (!(child instanceof SceneGridRow)) keep(child);
    else if (!known.get(idOf(child))?.repeat && !isCopy(child)) child.state.children.forEach(keep);
  }
  return kept;
}
