/** Changes of the panels of a dashboard. Each gives a new list; panels it does not touch stay the same objects. */
import { allPanels, type GridPos, type PanelJson } from '../model';

const COLUMNS = 24;
const NEW_PANEL = { w: 12, h: 8 };

const nextId = (panels: PanelJson[]): number =>
  Math.max(0, ...[...allPanels(panels)].map(({ id }) => id ?? 0)) + 1;

export function findPanel(panels: PanelJson[], id: number): PanelJson | undefined {
  return [...allPanels(panels)].find((panel) => panel.id === id);
}

/** Applies a change to every panel, those in closed rows too; undefined takes one away. */
function mapped(panels: PanelJson[], change: (panel: PanelJson) => PanelJson | undefined): PanelJson[] {
  return panels.flatMap((panel) => {
    const inner = panel.panels?.length ? mapped(panel.panels, change) : panel.panels;
    const isSame = !inner || inner.every((each, index) => each === panel.panels?.[index]);
    const changed = change(
      inner && (!isSame || inner.length !== panel.panels?.length) ? { ...panel, panels: inner } : panel,
    );
    return changed ? [changed] : [];
  });
}

export function replacePanel(panels: PanelJson[], next: PanelJson): PanelJson[] {
  return mapped(panels, (panel) => (panel.id === next.id ? next : panel));
}

export function removePanel(panels: PanelJson[], id: number): PanelJson[] {
  return mapped(panels, (panel) => (panel.id === id ? undefined : panel));
}

const shifted = (panels: PanelJson[], from: number, by: number): PanelJson[] =>
  mapped(panels, (panel) =>
    panel.gridPos.y >= from ? { ...panel, gridPos: { ...panel.gridPos, y: panel.gridPos.y + by } } : panel,
  );

export interface Added {
  panels: PanelJson[];
  id: number;
}

/** A panel at the top, above all others, where it is seen. */
export function addPanel(panels: PanelJson[], made: Omit<PanelJson, 'gridPos' | 'id'>): Added {
  const id = nextId(panels);
  const size = (made.gridPos as Partial<GridPos> | undefined) ?? {};
  const { w = NEW_PANEL.w, h = NEW_PANEL.h } = size;
  const panel = { ...made, id, gridPos: { x: 0, y: 0, w, h } } as PanelJson;
  return { panels: [panel, ...shifted(panels, 0, h)], id };
}

/** A row at the top: the panels up to the next row belong to it. */
export function addRow(panels: PanelJson[], title: string): Added {
  const id = nextId(panels);
  const row: PanelJson = {
    id,
    type: 'row',
    title,
    collapsed: false,
    gridPos: { x: 0, y: 0, w: COLUMNS, h: 1 },
    panels: [],
  };
  return { panels: [row, ...shifted(panels, 0, 1)], id };
}

/** A copy beside the panel where there is room, and below it where there is not. */
export function duplicatePanel(panels: PanelJson[], id: number): Added | undefined {
  const source = findPanel(panels, id);
  if (!source) return undefined;
  const copyId = nextId(panels);
  const { x, y, w, h } = source.gridPos;
  const place = (at: GridPos): PanelJson => ({ ...structuredClone(source), id: copyId, gridPos: at });
  const beside = { x: x + w, y, w, h };
  const isFree =
    beside.x + w <= COLUMNS && ![...allPanels(panels)].some(({ gridPos }) => overlaps(gridPos, beside));
  const copy = place(isFree ? beside : { x, y: y + h, w, h });
  const made = isFree ? panels : shifted(panels, y + h, h);
  return { panels: insertAfter(made, id, copy), id: copyId };
}

function insertAfter(panels: PanelJson[], id: number, copy: PanelJson): PanelJson[] {
  return panels.flatMap((panel) => {
    if (panel.id === id) return [panel, copy];
    if (panel.panels?.some((inner) => inner.id === id))
      return [{ ...panel, panels: insertAfter(panel.panels, id, copy) }];
    return [panel];
  });
}

const overlaps = (a: GridPos, b: GridPos) =>
  a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

/** A row without its panels, or with them. Panels that stay belong to the row above, or to none. */
export function removeRow(panels: PanelJson[], id: number, withPanels: boolean): PanelJson[] {
  const at = panels.findIndex((panel) => panel.id === id);
  const row = panels[at];
  if (!row) return panels;
  const next = panels.findIndex((panel, index) => index > at && panel.type === 'row');
  const end = row.collapsed ? at + 1 : next < 0 ? panels.length : next;
  const own = row.collapsed ? (row.panels ?? []) : panels.slice(at + 1, end);
  return [...panels.slice(0, at), ...(withPanels ? [] : own), ...panels.slice(end)];
}

export interface Nudge {
  x?: number;
  y?: number;
  w?: number;
  h?: number;
}

/**
 * A panel moved or made larger by cells, for those who use no pointer. What it is moved onto goes where the panel was, and the
 * grid moves up what has room above.
 */
export function nudgePanel(
  panels: PanelJson[],
  id: number,
  { x = 0, y = 0, w = 0, h = 0 }: Nudge,
): PanelJson[] {
  const panel = findPanel(panels, id);
  if (!panel) return panels;
  const old = panel.gridPos;
  const width = Math.min(COLUMNS, Math.max(1, old.w + w));
  const place: GridPos = {
    x: Math.min(COLUMNS - width, Math.max(0, old.x + x)),
    y: Math.max(0, old.y + y),
    w: width,
    h: Math.max(1, old.h + h),
  };
  // A step up or down is over the panel that is there.
  const inWay = [...allPanels(panels)].filter((other) => other.id !== id && overlaps(other.gridPos, place));
  const [other] = inWay;
  if (!y || !other) return replacePanel(panels, { ...panel, gridPos: place });
  const isUp = y < 0;
  const top = isUp ? other.gridPos.y : old.y + other.gridPos.h;
  const swapped = replacePanel(panels, { ...panel, gridPos: { ...place, y: top } });
  const pushed = { ...other, gridPos: { ...other.gridPos, y: isUp ? top + place.h : old.y } };
  return replacePanel(swapped, pushed);
}
