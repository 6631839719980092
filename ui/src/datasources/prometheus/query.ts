import type { DataQuery } from '@grafana/schema';

export type ResultFormat = 'time_series' | 'table' | 'heatmap';

/** A query as dashboards keep it. */
export interface PromQuery extends DataQuery {
  expr: string;
  format?: ResultFormat;
  instant?: boolean;
  range?: boolean;
  exemplar?: boolean;
  /** Whether to say what the query cost. */
  stats?: boolean;
  legendFormat?: string;
  /** Shortest step, such as `1m`; may hold variables. */
  interval?: string;
  intervalFactor?: number;
  /** The step of dashboards from before there were intervals, in seconds. */
  step?: number;
}

/** Dashboards say neither, one or both; one that says neither wants a range. */
export function wants(query: PromQuery): { instant: boolean; range: boolean } {
  const instant = query.instant ?? false;
  return { instant, range: query.range ?? !instant };
}
