/** Dashboards as JSON of the current version of the schema; older ones are made into it by `migrations`. */
import type { AnnotationQuery, DataSourceRef, DataTransformerConfig, FieldConfigSource } from '@grafana/data';

export type Reference = DataSourceRef | string | null | undefined;

export interface GridPos {
  x: number;
  y: number;
  w: number;
  h: number;
}

export interface Target {
  refId?: string;
  datasource?: Reference;
  hide?: boolean;
  [key: string]: unknown;
}

export interface LinkJson {
  title: string;
  type?: 'link' | 'dashboards';
  url?: string;
  icon?: string;
  tooltip?: string;
  tags?: string[];
  asDropdown?: boolean;
  includeVars?: boolean;
  keepTime?: boolean;
  targetBlank?: boolean;
}

export interface PanelJson {
  id?: number;
  type: string;
  title?: string;
  description?: string;
  gridPos: GridPos;
  datasource?: Reference;
  targets?: Target[];
  options?: Record<string, unknown>;
  fieldConfig?: FieldConfigSource<Record<string, unknown>>;
  transformations?: DataTransformerConfig[];
  interval?: string | null;
  maxDataPoints?: number | null;
  timeFrom?: string | null;
  timeShift?: string | null;
  hideTimeOverride?: boolean;
  transparent?: boolean;
  repeat?: string | null;
  repeatDirection?: 'h' | 'v';
  maxPerRow?: number;
  links?: LinkJson[];
  pluginVersion?: string;
  /** Of rows only. */
  collapsed?: boolean;
  panels?: PanelJson[];
  [key: string]: unknown;
}

export interface VariableJson {
  type: string;
  name: string;
  label?: string | null;
  description?: string | null;
  hide?: number;
  skipUrlSync?: boolean;
  query?: unknown;
  current?: { text?: unknown; value?: unknown };
  options?: { text?: unknown; value?: unknown; selected?: boolean }[];
  datasource?: Reference;
  regex?: string;
  refresh?: number;
  sort?: number;
  multi?: boolean;
  includeAll?: boolean;
  allValue?: string | null;
  allowCustomValue?: boolean;
  definition?: string;
  auto?: boolean;
  auto_min?: string;
  auto_count?: number;
  filters?: { key: string; operator: string; value: string }[];
  baseFilters?: { key: string; operator: string; value: string }[];
  [key: string]: unknown;
}

export interface DashboardJson {
  uid: string;
  title: string;
  description?: string;
  tags: string[];
  schemaVersion: number;
  version?: number;
  time: { from: string; to: string };
  timepicker: { refresh_intervals?: string[]; hidden?: boolean; nowDelay?: string; [key: string]: unknown };
  timezone?: string;
  weekStart?: string;
  fiscalYearStartMonth?: number;
  refresh?: string;
  graphTooltip: number;
  editable?: boolean;
  links: LinkJson[];
  panels: PanelJson[];
  templating: { list: VariableJson[] };
  annotations: { list: (AnnotationQuery & { builtIn?: number; hide?: boolean })[] };
  [key: string]: unknown;
}

/** The version of the schema that the program reads and writes. */
export const SCHEMA_VERSION = 42;

/** Every panel, those within rows too. */
export function* allPanels(panels: PanelJson[]): Generator<PanelJson> {
  for (const panel of panels) {
    yield panel;
    if (panel.panels) yield* allPanels(panel.panels);
  }
}
