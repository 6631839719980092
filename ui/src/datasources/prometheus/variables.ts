/** Queries of dashboard variables: `label_values(up, job)` and its kin. */
import type { MetricFindValue } from '@grafana/data';
import type { PrometheusClient, QueryAnswer } from '~/api/prometheus';
import { writeSeries } from './legend';

export type VariableQuery =
  | { kind: 'label_names'; matcher?: string }
  | { kind: 'label_values'; label: string; matcher?: string }
  | { kind: 'metrics'; regex: string }
  | { kind: 'query_result'; expr: string }
  | { kind: 'series'; matcher: string };

const LABEL_NAMES = /^label_names\(\s*(.*?)\s*\)\s*$/s;
const LABEL_VALUES = /^label_values\(\s*(?:(.+?)\s*,\s*)?([\w.$:{}[\]]+|"[^"]+")\s*\)\s*$/s;
const METRICS = /^metrics\(\s*(.*?)\s*\)\s*$/s;
const QUERY_RESULT = /^query_result\(\s*(.+?)\s*\)\s*$/s;

/** Numbers under which newer dashboards keep the kind of such a query. */
const STORED_KINDS = [
  'LabelNames',
  'LabelValues',
  'MetricNames',
  'VarQueryResult',
  'SeriesQuery',
  'ClassicQuery',
];

/** The text of a query that a dashboard keeps as text or as an object. */
export function variableText(stored: unknown): string {
  if (typeof stored === 'string') return stored;
  const { query, expr, qryType, label, metric } = (stored ?? {}) as Record<
    string,
    string | number | undefined
  >;
  if (query) return String(query);
  if (expr) return String(expr);
  if (STORED_KINDS[Number(qryType)] === 'LabelValues' && label)
    return `label_values(${metric ? `${metric}, ` : ''}${label})`;
  return '';
}

export function parseVariableQuery(text: string): VariableQuery {
  const names = LABEL_NAMES.exec(text);
  if (names) return { kind: 'label_names', ...(names[1] ? { matcher: names[1] } : {}) };
  const values = LABEL_VALUES.exec(text);
  if (values?.[2]) {
    const label = values[2].replace(/"/g, '');
    return { kind: 'label_values', label, ...(values[1] ? { matcher: values[1] } : {}) };
  }
  const metrics = METRICS.exec(text);
  if (metrics) return { kind: 'metrics', regex: metrics[1] ?? '' };
  const result = QUERY_RESULT.exec(text);
  if (result?.[1]) return { kind: 'query_result', expr: result[1] };
  return { kind: 'series', matcher: text };
}

interface Range {
  start: number;
  end: number;
}

const toValues = (texts: string[]): MetricFindValue[] => texts.map((text) => ({ text, value: text }));

/** Runs a query whose variables are replaced already. */
export async function runVariableQuery(
  client: PrometheusClient,
  query: VariableQuery,
  range: Range,
): Promise<MetricFindValue[]> {
  switch (query.kind) {
    case 'label_names':
      return toValues(await client.labelNames({ ...range, 'match[]': query.matcher }));
    case 'label_values':
      return toValues(await client.labelValues(query.label, { ...range, 'match[]': query.matcher }));
    case 'metrics': {
      const regex = new RegExp(query.regex);
      const names = await client.labelValues('__name__', { ...range });
      return toValues(names.filter((name) => regex.test(name)));
    }
    case 'query_result':
      return queryResult(await client.query(query.expr, range.end));
    case 'series':
      return toValues((await client.series([query.matcher], range)).map(writeSeries));
  }
}

function queryResult({ data }: QueryAnswer): MetricFindValue[] {
  if (data.resultType === 'scalar' || data.resultType === 'string') return toValues([data.result[1]]);
  if (data.resultType === 'matrix') return toValues(data.result.map(({ metric }) => writeSeries(metric)));
  const texts = data.result.map(
    ({ metric, value }) => `${writeSeries(metric)} ${value?.[1]} ${(value?.[0] ?? 0) * 1000}`,
  );
  return toValues(texts);
}
