/** Answers of the API as the frames that panels read. */
import { FieldType, type DataFrame, type Field, type FieldConfig } from '@grafana/data';
import type { Histogram, Labels, MatrixSeries, QueryData, Sample, VectorSeries } from '~/api/prometheus';
import { legend } from './legend';
import type { PromQuery } from './query';

export interface FrameContext {
  query: PromQuery;
  /** The expression that was sent. */
  expr: string;
  /** Milliseconds between points; nothing for instant queries. */
  stepMs?: number;
  /** Whether other queries of the panel give tables too, so that their values must be told apart. */
  severalTables?: boolean;
}

/** A number as the API writes it. */
export function parseNumber(text: string): number {
  if (text === '+Inf') return Infinity;
  if (text === '-Inf') return -Infinity;
  return Number(text);
}

export function toFrames(data: QueryData, context: FrameContext): DataFrame[] {
  switch (data.resultType) {
    case 'matrix':
      if (context.query.format === 'table') return [table(data.result.flatMap(rows), context)];
      if (context.query.format === 'heatmap') return heatmapSeries(data.result, context);
      return data.result.map((series) => seriesFrame(series, context));
    case 'vector':
      if (context.query.format === 'table') return [table(data.result.flatMap(vectorRow), context)];
      return data.result.map((series) => seriesFrame(instantSeries(series), context));
    default:
      return [scalarFrame(data.result, context)];
  }
}

const instantSeries = ({ metric, value, histogram }: VectorSeries): MatrixSeries => ({
  metric,
  values: value ? [value] : [],
  histograms: histogram ? [histogram] : [],
});

function meta({ query, expr, stepMs }: FrameContext, resultType: string): DataFrame['meta'] {
  return {
    type: (stepMs === undefined ? 'numeric-multi' : 'timeseries-multi') as never,
    executedQueryString: stepMs === undefined ? `Expr: ${expr}` : `Expr: ${expr}\nStep: ${stepMs / 1000}s`,
    custom: { resultType },
    preferredVisualisationType: query.format === 'table' ? 'table' : 'graph',
  };
}

function timeField(values: number[], stepMs?: number): Field<number> {
  // The step tells panels where points are missing.
  const config: FieldConfig = stepMs === undefined ? {} : { interval: stepMs };
  return { name: 'Time', type: FieldType.time, config, values };
}

function seriesFrame(
  { metric, values = [], histograms = [] }: MatrixSeries,
  context: FrameContext,
): DataFrame {
  const samples: [number, number | null][] = values.map(([time, text]) => {
    const value = parseNumber(text);
    // A gap, except where the value is all there is to show.
    return [time * 1000, Number.isNaN(value) && context.stepMs !== undefined ? null : value];
  });
  // Of a native histogram a line can show how many observations there are.
  for (const [time, histogram] of histograms) samples.push([time * 1000, parseNumber(histogram.count)]);
  if (histograms.length) samples.sort((a, b) => a[0] - b[0]);
  const name = legend(metric, context.query.legendFormat, context.expr);
  const config: FieldConfig = name === undefined ? {} : { displayNameFromDS: name };
  return {
    refId: context.query.refId,
    ...(name === undefined ? {} : { name }),
    meta: meta(context, context.stepMs === undefined ? 'vector' : 'matrix'),
    fields: [
      timeField(
        samples.map(([time]) => time),
        context.stepMs,
      ),
      {
        name: 'Value',
        type: FieldType.number,
        config,
        labels: metric,
        values: samples.map(([, value]) => value),
      },
    ],
    length: samples.length,
  };
}

function scalarFrame([time, text]: Sample, context: FrameContext): DataFrame {
  const number = parseNumber(text);
  const isText = Number.isNaN(number) && text !== 'NaN';
  return {
    refId: context.query.refId,
    meta: meta(context, 'scalar'),
    fields: [
      timeField([time * 1000]),
      {
        name: 'Value',
        type: isText ? FieldType.string : FieldType.number,
        config: {},
        values: [isText ? text : number],
      },
    ],
    length: 1,
  };
}

interface Row {
  timeMs: number;
  labels: Labels;
  value: number;
}

const rows = ({ metric, values = [] }: MatrixSeries): Row[] =>
  values.map(([time, text]) => ({ timeMs: time * 1000, labels: metric, value: parseNumber(text) }));

const vectorRow = ({ metric, value }: VectorSeries): Row[] =>
  value ? [{ timeMs: value[0] * 1000, labels: metric, value: parseNumber(value[1]) }] : [];

/** One row a sample, one column a label. */
function table(all: Row[], context: FrameContext): DataFrame {
  const { query, severalTables } = context;
  const names = [...new Set(all.flatMap(({ labels }) => Object.keys(labels)))].sort();
  const sorted = all.sort((a, b) => a.timeMs - b.timeMs);
  const label = (name: string): Field => {
    const values = sorted.map(({ labels }) => labels[name] ?? '');
    const config: FieldConfig = { filterable: true };
    if (name !== 'le') return { name, config, type: FieldType.string, values };
    return { name, config, type: FieldType.number, values: values.map(parseNumber) };
  };
  const fields: Field[] = [
    timeField(sorted.map(({ timeMs }) => timeMs)),
    ...names.map(label),
    {
      name: severalTables ? `Value #${query.refId}` : 'Value',
      type: FieldType.number,
      config: {},
      values: sorted.map(({ value }) => value),
    },
  ];
  return { refId: query.refId, meta: meta(context, 'vector'), fields, length: sorted.length };
}

/** The upper bound of a bucket of a classic histogram. */
const bound = ({ metric }: MatrixSeries) => parseNumber(metric.le ?? 'NaN');

/** Buckets in rising order, each with only what the one before does not count already. */
function heatmapSeries(result: MatrixSeries[], context: FrameContext): DataFrame[] {
  const native = result.find(({ histograms }) => histograms?.length);
  if (native?.histograms) return [heatmapCells(native.histograms, context)];
  const buckets = result.filter(({ metric }) => metric.le !== undefined).sort((a, b) => bound(a) - bound(b));
  const frames: DataFrame[] = [];
  let below = new Map<number, number>();
  for (const { metric, values = [] } of buckets) {
    const counts = new Map(values.map(([time, text]) => [time, parseNumber(text)]));
    const own = values.map(([time, text]): Sample => [
      time,
      String(Math.max(0, parseNumber(text) - (below.get(time) ?? 0))),
    ]);
    frames.push(
      seriesFrame(
        { metric, values: own },
        { ...context, query: { ...context.query, legendFormat: '{{le}}' } },
      ),
    );
    below = counts;
  }
  return frames;
}

/** Native histograms: a row for each bucket and time. */
function heatmapCells(histograms: [number, Histogram][], context: FrameContext): DataFrame {
  const columns: Record<'x' | 'yMin' | 'yMax' | 'count', number[]> = { x: [], yMin: [], yMax: [], count: [] };
  for (const [time, { buckets = [] }] of histograms) {
    for (const [, from, to, count] of buckets) {
      columns.x.push(time * 1000);
      columns.yMin.push(parseNumber(from));
      columns.yMax.push(parseNumber(to));
      columns.count.push(parseNumber(count));
    }
  }
  const number = (name: 'yMin' | 'yMax' | 'count'): Field => ({
    name,
    type: FieldType.number,
    config: {},
    values: columns[name],
  });
  return {
    refId: context.query.refId,
    meta: { ...meta(context, 'matrix'), type: 'heatmap-cells' as never },
    fields: [
      { ...timeField(columns.x, context.stepMs), name: 'xMax' },
      number('yMin'),
      number('yMax'),
      number('count'),
    ],
    length: columns.x.length,
  };
}

export const EXEMPLARS = 'exemplar';

/** Exemplars as annotations are: their own topic, one row each. */
export function exemplarFrame(
  found: { labels: Labels; series: Labels; timeMs: number; value: number }[],
  refId: string,
): DataFrame | undefined {
  if (!found.length) return undefined;
  const names = [
    ...new Set(found.flatMap(({ labels, series }) => [...Object.keys(labels), ...Object.keys(series)])),
  ];
  return {
    refId,
    name: EXEMPLARS,
    meta: { dataTopic: 'annotations' as never, custom: { resultType: EXEMPLARS } },
    fields: [
      timeField(found.map(({ timeMs }) => timeMs)),
      { name: 'Value', type: FieldType.number, config: {}, values: found.map(({ value }) => value) },
      ...names.map((name): Field => ({
        name,
        type: FieldType.string,
        config: {},
        values: found.map(({ labels, series }) => labels[name] ?? series[name] ?? ''),
      })),
    ],
    length: found.length,
  };
}
