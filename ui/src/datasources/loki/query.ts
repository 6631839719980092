import type { DataQuery } from '@grafana/schema';

/** A query as dashboards keep it. */
export interface LokiQuery extends DataQuery {
  expr: string;
  queryType?: 'range' | 'instant' | 'stream';
  instant?: boolean;
  range?: boolean;
  legendFormat?: string;
  maxLines?: number;
  resolution?: number;
  step?: string;
  direction?: 'backward' | 'forward' | 'scan';
}

export const LINES_DEFAULT = 1000;
