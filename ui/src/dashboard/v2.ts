/**
 * Dashboards of version 2 of the schema, in all its drafts: elements and a layout in place of panels with places. They are
 * made into what version 1 says, which is what the program works with.
 */
import type { GridPos, PanelJson, Reference, Target, VariableJson } from './model';

type Loose = Record<string, unknown>;

interface Kind<Spec = Loose> {
  kind?: string;
  /** What `kind` said in earlier drafts: the type of a panel, a data source, a transformation. */
  group?: string;
  version?: string;
  datasource?: { name?: string };
  spec: Spec;
}

interface QuerySpec {
  refId?: string;
  hidden?: boolean;
  query: Kind;
  datasource?: Reference;
}

interface PanelSpec {
  id?: number;
  title?: string;
  description?: string;
  links?: PanelJson['links'];
  transparent?: boolean;
  data?: Kind<{
    queries?: Kind<QuerySpec>[];
    transformations?: Kind<{ id?: string; options?: unknown; disabled?: boolean }>[];
    queryOptions?: Loose;
  }>;
  vizConfig?: Kind<{ options?: Loose; fieldConfig?: PanelJson['fieldConfig']; pluginVersion?: string }>;
}

interface Repeat {
  value?: string;
  direction?: 'h' | 'v';
  maxPerRow?: number;
}

interface LayoutSpec {
  items?: Kind<{
    x?: number;
    y?: number;
    width?: number;
    height?: number;
    element?: { name?: string };
    repeat?: Repeat;
  }>[];
  rows?: Kind<{
    title?: string;
    collapse?: boolean;
    hideHeader?: boolean;
    layout?: Layout;
    repeat?: Repeat;
  }>[];
  tabs?: Kind<{ title?: string; layout?: Layout }>[];
  maxColumnCount?: number;
  rowHeightMode?: string;
  rowHeight?: number;
}

type Layout = Kind<LayoutSpec>;

const COLUMNS = 24;
const CELL_HEIGHT = 38;

export function isV2(json: Loose): boolean {
  const spec = (json.spec ?? json) as Loose;
  return typeof spec.elements === 'object' && spec.elements !== null && typeof spec.layout === 'object';
}

export function fromV2(json: Loose): Loose {
  const spec = (json.spec ?? json) as Loose;
  const name = (json.metadata as Loose | undefined)?.name;
  const elements = spec.elements as Record<string, Kind<PanelSpec>>;
  const time = (spec.timeSettings ?? {}) as Loose;
  const { panels } = layOut(spec.layout as Layout, elements, 0);
  return {
    uid: name ?? spec.uid ?? '',
    title: spec.title,
    description: spec.description,
    tags: spec.tags,
    editable: spec.editable,
    links: spec.links,
    schemaVersion: 42,
    graphTooltip: ['Off', 'Crosshair', 'Tooltip'].indexOf(String(spec.cursorSync ?? 'Off')),
    time: { from: time.from ?? 'now-6h', to: time.to ?? 'now' },
    timezone: time.timezone,
    weekStart: time.weekStart,
    fiscalYearStartMonth: time.fiscalYearStartMonth,
    refresh: time.autoRefresh ?? '',
    timepicker: {
      refresh_intervals: time.autoRefreshIntervals,
      hidden: time.hideTimepicker,
      nowDelay: time.nowDelay,
    },
    panels,
    templating: { list: ((spec.variables ?? []) as Kind[]).map(variable) },
    annotations: {
      list: ((spec.annotations ?? []) as Kind<Loose & { query?: Kind; datasource?: Reference }>[]).map(
        annotation,
      ),
    },
  };
}

interface Laid {
  panels: PanelJson[];
  /** Where what comes next begins. */
  bottom: number;
}

function layOut(layout: Layout, elements: Record<string, Kind<PanelSpec>>, top: number): Laid {
  const { rows, tabs } = layout.spec;
  // A tab is a row that is always open: all of a dashboard is on one page here.
  const sections = rows ?? tabs?.map((tab) => ({ spec: { ...tab.spec, collapse: false } }));
  if (sections) return sectioned(sections as NonNullable<LayoutSpec['rows']>, elements, top);
  return layout.kind === 'AutoGridLayout'
    ? automatic(layout.spec, elements, top)
    : grid(layout.spec, elements, top);
}

function sectioned(
  sections: NonNullable<LayoutSpec['rows']>,
  elements: Record<string, Kind<PanelSpec>>,
  top: number,
): Laid {
  const panels: PanelJson[] = [];
  let y = top;
  for (const { spec } of sections) {
    const laid = spec.layout
      ? layOut(spec.layout, elements, spec.hideHeader ? y : y + 1)
      : { panels: [], bottom: y + 1 };
    if (!spec.hideHeader) {
      const row: PanelJson = {
        type: 'row',
        title: spec.title ?? '',
        collapsed: spec.collapse ?? false,
        gridPos: { x: 0, y, w: COLUMNS, h: 1 },
        panels: [],
      };
      if (spec.repeat?.value) row.repeat = spec.repeat.value;
      if (spec.collapse) row.panels = laid.panels;
      panels.push(row);
    }
    if (spec.hideHeader || !spec.collapse) panels.push(...laid.panels);
    y = spec.collapse && !spec.hideHeader ? y + 1 : laid.bottom;
  }
  return { panels, bottom: y };
}

function grid({ items = [] }: LayoutSpec, elements: Record<string, Kind<PanelSpec>>, top: number): Laid {
  const panels = items.flatMap(({ spec }): PanelJson[] => {
    const { x = 0, y = 0, width = 12, height = 8, element, repeat } = spec;
    const found = elements[element?.name ?? ''];
    return found ? [panel(found, { x, y: top + y, w: width, h: height }, repeat)] : [];
  });
  return { panels, bottom: Math.max(top, ...panels.map(({ gridPos }) => gridPos.y + gridPos.h)) };
}

const ROW_HEIGHTS: Record<string, number> = { short: 168, standard: 320, tall: 512 };

/** Panels of equal size, as many beside each other as are allowed. */
function automatic(layout: LayoutSpec, elements: Record<string, Kind<PanelSpec>>, top: number): Laid {
  const columns = Math.max(1, Math.min(layout.maxColumnCount ?? 3, COLUMNS));
  const w = Math.floor(COLUMNS / columns);
  const pixels =
    layout.rowHeightMode === 'custom'
      ? (layout.rowHeight ?? 320)
      : (ROW_HEIGHTS[layout.rowHeightMode ?? 'standard'] ?? 320);
  const h = Math.max(3, Math.round(pixels / CELL_HEIGHT));
  const panels = (layout.items ?? []).flatMap(({ spec }, index): PanelJson[] => {
    const found = elements[spec.element?.name ?? ''];
    const place = { x: (index % columns) * w, y: top + Math.floor(index / columns) * h, w, h };
    return found ? [panel(found, place, spec.repeat)] : [];
  });
  return { panels, bottom: Math.max(top, ...panels.map(({ gridPos }) => gridPos.y + gridPos.h)) };
}

function panel({ kind, spec }: Kind<PanelSpec>, gridPos: GridPos, repeat: Repeat | undefined): PanelJson {
  const { vizConfig, data } = spec;
  const isLibrary = kind === 'LibraryPanel';
  const { queries = [], transformations = [], queryOptions = {} } = data?.spec ?? {};
  return {
    ...(spec.id === undefined ? {} : { id: spec.id }),
    type: isLibrary ? 'library-panel' : (vizConfig?.group ?? vizConfig?.kind ?? 'timeseries'),
    title: spec.title ?? '',
    ...(spec.description ? { description: spec.description } : {}),
    gridPos,
    links: spec.links ?? [],
    transparent: spec.transparent ?? false,
    options: vizConfig?.spec.options ?? {},
    ...(vizConfig?.spec.fieldConfig ? { fieldConfig: vizConfig.spec.fieldConfig } : {}),
    targets: queries.map(target),
    transformations: transformations.map(({ kind: id, group, spec: { id: old, options, disabled } }) => ({
      id: group ?? old ?? id ?? '',
      options: options ?? {},
      ...(disabled ? { disabled } : {}),
    })),
    ...queryOptions,
    ...(repeat?.value
      ? {
          repeat: repeat.value,
          repeatDirection: repeat.direction ?? 'h',
          ...(repeat.maxPerRow ? { maxPerRow: repeat.maxPerRow } : {}),
        }
      : {}),
  };
}

/** The data source a query names, by uid in the newest draft beside its type, or by a reference of its own. */
function sourceOf(query: Kind, datasource: Reference): Reference {
  if (datasource) return datasource;
  const type = query.group ?? (query.kind === 'DataQuery' ? undefined : query.kind);
  const uid = query.datasource?.name;
  if (!uid && !type) return undefined;
  return { ...(type ? { type } : {}), ...(uid ? { uid } : {}) };
}

function target({ spec: { refId, hidden, query, datasource } }: Kind<QuerySpec>): Target {
  const source = sourceOf(query, datasource);
  return {
    ...query.spec,
    ...(refId ? { refId } : {}),
    ...(hidden ? { hide: true } : {}),
    ...(source ? { datasource: source } : {}),
  };
}

const VARIABLES: Record<string, string> = {
  QueryVariable: 'query',
  CustomVariable: 'custom',
  DatasourceVariable: 'datasource',
  IntervalVariable: 'interval',
  ConstantVariable: 'constant',
  TextVariable: 'textbox',
  AdhocVariable: 'adhoc',
  GroupByVariable: 'groupby',
  SwitchVariable: 'switch',
};
const HIDDEN = ['dontHide', 'hideLabel', 'hideVariable', 'inControlsMenu'];
const REFRESHED = ['never', 'onDashboardLoad', 'onTimeRangeChanged'];
const SORTED = [
  'disabled', 'alphabeticalAsc', 'alphabeticalDesc', 'numericalAsc', 'numericalDesc', 'alphabeticalCaseInsensitiveAsc',
  'alphabeticalCaseInsensitiveDesc', 'naturalAsc', 'naturalDesc',
]; // prettier-ignore

/** Choices are words in version 2 and numbers in version 1. */
const numbered = (words: string[], value: unknown, otherwise: number): number => {
  if (typeof value === 'number') return value;
  const at = words.indexOf(String(value));
  return at < 0 ? otherwise : at;
};

function variable({ kind = '', group, datasource, spec }: Kind): VariableJson {
  const {
    query,
    datasource: stored,
    ...rest
  } = spec as Loose & { query?: Kind | string; datasource?: Reference };
  const type = VARIABLES[kind] ?? kind;
  const source =
    typeof query === 'object'
      ? sourceOf(query, stored)
      : (stored ??
        (group || datasource
          ? { ...(group ? { type: group } : {}), ...(datasource?.name ? { uid: datasource.name } : {}) }
          : undefined));
  return {
    ...(rest as Partial<VariableJson>),
    type,
    name: String(spec.name ?? ''),
    hide: numbered(HIDDEN, spec.hide, 0),
    refresh: numbered(REFRESHED, spec.refresh, 1),
    sort: numbered(SORTED, spec.sort, 0),
    query: type === 'datasource' ? spec.pluginId : typeof query === 'object' ? plainQuery(query.spec) : query,
    ...(source ? { datasource: source } : {}),
  };
}

/** A text that was put into an object of its own. */
const plainQuery = (spec: Loose): unknown =>
  typeof spec.__legacyStringValue === 'string' ? spec.__legacyStringValue : spec;

function annotation({ spec }: Kind<Loose & { query?: Kind; datasource?: Reference }>): Loose {
  const { query, datasource, legacyOptions, ...rest } = spec;
  const source = query ? sourceOf(query, datasource) : datasource;
  return {
    ...(legacyOptions as Loose | undefined),
    ...rest,
    ...(query ? { target: { refId: 'Anno', ...query.spec } } : {}),
    ...(source ? { datasource: source } : {}),
  };
}
