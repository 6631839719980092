/** Before version 16 a dashboard was rows of panels that shared twelve columns; since, panels have places in a grid. */
import type { DashboardJson, GridPos, PanelJson } from '../model';

interface OldRow {
  title?: string;
  showTitle?: boolean;
  collapse?: boolean;
  height?: number | string;
  repeat?: string | null;
  panels?: OldPanel[];
}

type OldPanel = PanelJson & { span?: number; height?: number | string; minSpan?: number };

const COLUMNS = 24;
/** What one of the twelve old columns is in the grid. */
const COLUMN_WIDTH = 2;
/** Height of a cell of the grid and its margin, in pixels. */
const CELL_HEIGHT = 38;
const SPAN_DEFAULT = 4;
const ROW_HEIGHT_DEFAULT = 250;
const PANEL_HEIGHT_MIN = 3;

export function migrateRows(dashboard: DashboardJson): void {
  const rows = dashboard.rows as OldRow[] | undefined;
  if (!Array.isArray(rows)) return;
  delete dashboard.rows;
  // Rows are drawn only where one of them shows a title, is closed or repeats.
  const asRows = rows.some(({ collapse, showTitle, repeat }) => collapse || showTitle || repeat);
  let y = Math.max(0, ...dashboard.panels.map(({ gridPos }) => (gridPos ? gridPos.y + gridPos.h : 0)));
  for (const row of rows) {
    const shown = asRows && (row.collapse || row.showTitle || row.repeat || rows.length > 1);
    const header: PanelJson | undefined = shown ? rowPanel(row, y) : undefined;
    if (header) {
      dashboard.panels.push(header);
      y += 1;
    }
    const { panels, bottom } = place(row, y);
    if (header?.collapsed) header.panels = panels;
    else dashboard.panels.push(...panels);
    y = header?.collapsed ? y : bottom;
  }
}

function rowPanel({ title, collapse, repeat }: OldRow, y: number): PanelJson {
  return {
    type: 'row',
    title: title ?? '',
    collapsed: collapse ?? false,
    gridPos: { x: 0, y, w: COLUMNS, h: 1 },
    panels: [],
    ...(repeat ? { repeat } : {}),
  };
}

/** Panels go where there is room from left to right, below those that reach furthest down. */
function place(row: OldRow, top: number): { panels: PanelJson[]; bottom: number } {
  const depth = new Array<number>(COLUMNS).fill(top);
  const rowHeight = cells(row.height ?? ROW_HEIGHT_DEFAULT);
  const panels = (row.panels ?? []).map((panel): PanelJson => {
    const { span = SPAN_DEFAULT, height, minSpan, ...rest } = panel;
    const w = Math.max(1, Math.min(COLUMNS, Math.floor(span) * COLUMN_WIDTH));
    const h = height === undefined ? rowHeight : cells(height);
    const gridPos = freePlace(depth, w, h);
    depth.fill(gridPos.y + h, gridPos.x, gridPos.x + w);
    return { ...rest, gridPos, ...(minSpan === undefined ? {} : { minSpan: minSpan * COLUMN_WIDTH }) };
  });
  return { panels, bottom: Math.max(...depth) };
}

function freePlace(depth: number[], w: number, h: number): GridPos {
  let best = { x: 0, y: Infinity, w, h };
  for (let x = 0; x + w <= COLUMNS; x++) {
    const y = Math.max(...depth.slice(x, x + w));
    if (y < best.y) best = { x, y, w, h };
  }
  return best;
}

/** A height in pixels, as number or text, in cells. */
function cells(height: number | string): number {
  const pixels = typeof height === 'number' ? height : parseInt(height.replace('px', ''), 10);
  return Math.max(PANEL_HEIGHT_MIN, Math.ceil((pixels || ROW_HEIGHT_DEFAULT) / CELL_HEIGHT));
}
