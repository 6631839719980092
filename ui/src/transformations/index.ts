/** Transformations that Grafana's core has and its packages have not. */
import type { DataTransformerInfo } from '@grafana/data';
import { configFromQuery, extractFields, rowsToFields } from './fields';
import { joinByLabels, partitionByValues, prepareTimeSeries, timeSeriesTable } from './series';

export const ownTransformers: DataTransformerInfo[] = [
  configFromQuery,
  extractFields,
  joinByLabels,
  partitionByValues,
  prepareTimeSeries,
  rowsToFields,
  timeSeriesTable,
];
