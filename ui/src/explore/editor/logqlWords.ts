/** What LogQL knows beside labels, with a line of help for each. */
import type { Completion } from '@codemirror/autocomplete';

const words = (type: string, list: [label: string, info: string][]): Completion[] =>
  list.map(([label, info]) => ({ label, type, info }));

export const STAGES = words('keyword', [
  ['json', 'Takes lines apart as JSON; each property becomes a field.'],
  ['logfmt', 'Takes lines apart as name=value pairs.'],
  ['pattern', 'Takes lines apart by a pattern such as "<ip> - <_> <method>".'],
  ['regexp', 'Takes lines apart by the named groups of a regular expression.'],
  ['unpack', 'Brings back what was packed into a line as JSON.'],
  ['line_format', 'Writes lines anew by a template such as "{{.status}} {{.path}}".'],
  ['label_format', 'Renames fields, or writes new ones by a template.'],
  ['decolorize', 'Removes the colours of terminals.'],
  ['drop', 'Leaves labels and fields out.'],
  ['keep', 'Keeps only these labels and fields.'],
  ['unwrap', 'Takes a field as the number that functions over ranges work on.'],
]);

export const FUNCTIONS = words('function', [
  ['rate', 'Lines per second.'],
  ['count_over_time', 'Lines in the range.'],
  ['bytes_rate', 'Bytes of lines per second.'],
  ['bytes_over_time', 'Bytes of lines in the range.'],
  ['absent_over_time', '1 where there are no lines in the range.'],
  ['sum_over_time', 'Sum of the unwrapped values in the range.'],
  ['avg_over_time', 'Mean of the unwrapped values in the range.'],
  ['max_over_time', 'Largest of the unwrapped values in the range.'],
  ['min_over_time', 'Smallest of the unwrapped values in the range.'],
  ['first_over_time', 'First of the unwrapped values in the range.'],
  ['last_over_time', 'Last of the unwrapped values in the range.'],
  ['stddev_over_time', 'Standard deviation of the unwrapped values.'],
  ['stdvar_over_time', 'Variance of the unwrapped values.'],
  ['quantile_over_time', 'A quantile of the unwrapped values: quantile_over_time(0.99, ...).'],
  ['rate_counter', 'Rate of unwrapped values that count up.'],
  ['sum', 'Adds series up.'],
  ['avg', 'The mean of series.'],
  ['min', 'The smallest of series.'],
  ['max', 'The largest of series.'],
  ['count', 'How many series there are.'],
  ['stddev', 'The standard deviation over series.'],
  ['stdvar', 'The variance over series.'],
  ['topk', 'The largest series: topk(5, ...).'],
  ['bottomk', 'The smallest series: bottomk(5, ...).'],
  ['sort', 'Series by rising value.'],
  ['sort_desc', 'Series by falling value.'],
  ['label_replace', 'Writes a label by a regular expression over another.'],
  ['vector', 'A number as a series.'],
]);

export const CONVERSIONS = words('function', [
  ['duration', 'Reads a field such as 1.5s as seconds.'],
  ['duration_seconds', 'Reads a field such as 1.5s as seconds.'],
  ['bytes', 'Reads a field such as 5KiB as bytes.'],
]);

export const RANGES = words('constant', [
  ['$__auto', 'As long as the step.'],
  ['1m', ''],
  ['5m', ''],
  ['10m', ''],
  ['30m', ''],
  ['1h', ''],
  ['1d', ''],
]);

export const LINE_FILTERS: Completion[] = [
  { label: '|= ""', detail: 'contains', type: 'operator', apply: '|= "' },
  { label: '!= ""', detail: 'does not contain', type: 'operator', apply: '!= "' },
  { label: '|~ ""', detail: 'matches', type: 'operator', apply: '|~ "' },
  { label: '!~ ""', detail: 'does not match', type: 'operator', apply: '!~ "' },
  { label: '|> ""', detail: 'has the pattern', type: 'operator', apply: '|> "' },
];

/** Help by name. */
export const HELP = new Map(
  [...STAGES, ...FUNCTIONS, ...CONVERSIONS].map(({ label, info }) => [label, String(info)]),
);
