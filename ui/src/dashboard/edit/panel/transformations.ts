/** What transformations are called, what they do, and what they begin with. */
import { standardTransformersRegistry } from '@grafana/data';
import { choices, type Descriptor } from '~/panels/editing/descriptor';

interface Described {
  name: string;
  about: string;
  isOffered: boolean;
}

/** In our own words; what is not here is called as the registry has it. */
const WORDS: Record<string, [string, string]> = {
  calculateField: ['Add field from calculation', 'A new field from two others, or from all of a row'],
  concatenate: ['Concatenate fields', 'All fields of all frames in one'],
  configFromData: ['Config from query results', 'Units, limits and thresholds from what a query gives'],
  convertFieldType: ['Convert field type', 'Text to numbers, numbers to times'],
  extractFields: ['Extract fields', 'Fields from JSON or key=value pairs'],
  filterByValue: ['Filter data by values', 'Only rows whose values fit'],
  filterByRefId: ['Filter data by query', 'Only what some queries gave'],
  filterFieldsByName: ['Filter fields by name', 'Only some fields'],
  formatString: ['Format string', 'Upper and lower case, parts of texts'],
  formatTime: ['Format time', 'Times as texts'],
  groupBy: ['Group by', 'Rows with the same values as one, with calculations'],
  groupingToMatrix: ['Grouping to matrix', 'Three fields as rows, columns and cells'],
  groupToNestedTable: ['Group to nested tables', 'Rows with the same values as tables within a table'],
  heatmap: ['Create heatmap', 'Counts of values over time'],
  histogram: ['Histogram', 'Counts of values'],
  joinByField: ['Join by field', 'Frames side by side where a field is the same'],
  joinByLabels: ['Join by labels', 'Series with the same labels as one row'],
  labelsToFields: ['Labels to fields', 'Labels as columns'],
  limit: ['Limit', 'Only the first rows'],
  merge: ['Merge series/tables', 'All frames in one table'],
  organize: ['Organize fields by name', 'Order, names, and what is hidden'],
  partitionByValues: ['Partition by values', 'A frame for each value of a field'],
  prepareTimeSeries: ['Prepare time series', 'Frames in the form that graphs want'],
  reduce: ['Reduce', 'A value for each series'],
  regression: ['Trendline', 'A line that fits the values'],
  renameByRegex: ['Rename fields by regex', 'Names with parts replaced'],
  rowsToFields: ['Rows to fields', 'A field for each row'],
  seriesToRows: ['Series to rows', 'All series in one table of time, name and value'],
  smoothing: ['Smoothing', 'Noise taken out of series'],
  sortBy: ['Sort by', 'Rows in the order of a field'],
  timeSeriesTable: ['Time series to table', 'A row with a sparkline for each series'],
  transpose: ['Transpose', 'Rows as columns'],
};

/** For other programs, or under two names. */
const NOT_OFFERED = new Set([
  'noop',
  'append',
  'filterFields',
  'filterFrames',
  'order',
  'rename',
  'ensureColumns',
  'seriesToColumns',
  'spatial',
  'fieldLookup',
  'convertFrameType',
  'nullToValue',
]);

export function described(id: string): Described {
  const item = standardTransformersRegistry.getIfExists(id);
  const [name, about] = WORDS[id] ?? [item?.name ?? id, item?.description ?? ''];
  return { name, about, isOffered: !NOT_OFFERED.has(id) };
}

/** What one begins with, where nothing would do nothing. */
export const NEW_OPTIONS: Record<string, Record<string, unknown>> = {
  calculateField: { mode: 'reduceRow', reduce: { reducer: 'sum' } },
  convertFieldType: { fields: {}, conversions: [] },
  filterByValue: { filters: [], type: 'include', match: 'any' },
  groupBy: { fields: {} },
  joinByField: { mode: 'outer' },
  labelsToFields: { mode: 'columns' },
  limit: { limitField: 10 },
  merge: {},
  organize: { excludeByName: {}, indexByName: {}, renameByName: {} },
  reduce: { reducers: ['max'] },
  renameByRegex: { regex: '(.*)', renamePattern: '$1' },
  sortBy: { fields: {}, sort: [{ field: '' }] },
};

const mode = (...list: [string, string][]): Descriptor['choices'] =>
  list.map(([value, label]) => ({ value, label }));
const option = (
  path: string,
  name: string,
  kind: Descriptor['kind'],
  rest: Partial<Descriptor> = {},
): Descriptor => ({ path, name, kind, category: '', ...rest });
const is = (path: string, value: string) => (options: Record<string, unknown>) => options[path] === value;

/** Options with editors like those of panels. Those that are absent have an editor of their own, or are edited as JSON. */
export const TRANSFORMATION_OPTIONS: Record<string, Descriptor[]> = {
  calculateField: [
    option('mode', 'Mode', 'select', {
      choices: mode(
        ['reduceRow', 'Reduce row'],
        ['binary', 'Binary operation'],
        ['unary', 'Unary operation'],
        ['cumulativeFunctions', 'Cumulative'],
        ['windowFunctions', 'Window'],
        ['index', 'Row index'],
      ),
    }),
    option('reduce.reducer', 'Calculation', 'text', { shown: is('mode', 'reduceRow'), placeholder: 'sum' }),
    option('reduce.include', 'Of the fields', 'strings', {
      shown: is('mode', 'reduceRow'),
      about: 'All numbers where none is named',
    }),
    option('binary.left.matcher.options', 'Left', 'field', { shown: is('mode', 'binary') }),
    option('binary.operator', 'Operator', 'radio', {
      choices: mode(['+', '+'], ['-', '-'], ['*', '*'], ['/', '/'], ['%', '%'], ['**', '^']),
      shown: is('mode', 'binary'),
    }),
    option('binary.right.fixed', 'Right (a number)', 'text', { shown: is('mode', 'binary') }),
    option('binary.right.matcher.options', 'Right (a field)', 'field', { shown: is('mode', 'binary') }),
    option('unary.operator', 'Operator', 'select', {
      choices: choices('abs', 'exp', 'ln', 'floor', 'ceil'),
      shown: is('mode', 'unary'),
    }),
    option('unary.fieldName', 'Field', 'field', { shown: is('mode', 'unary') }),
    option('cumulative.field', 'Field', 'field', { shown: is('mode', 'cumulativeFunctions') }),
    option('cumulative.reducer', 'Calculation', 'select', {
      choices: mode(['sum', 'Total'], ['mean', 'Mean']),
      shown: is('mode', 'cumulativeFunctions'),
    }),
    option('window.field', 'Field', 'field', { shown: is('mode', 'windowFunctions') }),
    option('window.reducer', 'Calculation', 'select', {
      choices: mode(['mean', 'Mean'], ['stdDev', 'Standard deviation'], ['variance', 'Variance']),
      shown: is('mode', 'windowFunctions'),
    }),
    option('window.windowSize', 'Size', 'number', { min: 0, shown: is('mode', 'windowFunctions') }),
    option('alias', 'Name', 'text'),
    option('replaceFields', 'In place of all fields', 'boolean'),
  ],
  concatenate: [
    option('frameNameMode', 'Names of frames', 'select', {
      choices: mode(['field', 'Before names of fields'], ['label', 'As a label'], ['drop', 'Left out']),
    }),
    option('frameNameLabel', 'Label', 'text', { shown: is('frameNameMode', 'label') }),
  ],
  extractFields: [
    option('source', 'Source', 'field'),
    option('format', 'Format', 'select', {
      choices: mode(
        ['auto', 'Auto'],
        ['json', 'JSON'],
        ['kvp', 'Key=value pairs'],
        ['regexp', 'Regular expression'],
        ['delimiter', 'Delimiter'],
      ),
    }),
    option('regExp', 'Regular expression', 'text', {
      shown: is('format', 'regexp'),
      placeholder: '/(?<name>.*)/',
    }),
    option('delimiter', 'Delimiter', 'text', { shown: is('format', 'delimiter') }),
    option('jsonPaths', 'Paths', 'json', {
      shown: is('format', 'json'),
      about: 'Such as [{"path": "a.b", "alias": "b"}]',
    }),
    option('replace', 'In place of all fields', 'boolean'),
    option('keepTime', 'Keep the time', 'boolean'),
  ],
  filterByRefId: [
    option('include', 'Queries', 'text', {
      placeholder: 'A|B',
      about: 'A regular expression on their letters',
    }),
  ],
  formatTime: [
    option('timeField', 'Time', 'field'),
    option('outputFormat', 'Format', 'text', { placeholder: 'YYYY-MM-DD HH:mm:ss' }),
    option('timezone', 'Time zone', 'text', { placeholder: 'utc' }),
  ],
  groupingToMatrix: [
    option('columnField', 'Columns', 'field'),
    option('rowField', 'Rows', 'field'),
    option('valueField', 'Cells', 'field'),
    option('emptyValue', 'Empty cells', 'select', {
      choices: mode(['null', 'Null'], ['true', 'True'], ['false', 'False'], ['', 'Empty'], ['zero', 'Zero']),
    }),
  ],
  histogram: [
    option('bucketCount', 'Buckets', 'number', { min: 1, placeholder: '30' }),
    option('bucketSize', 'Bucket size', 'number', { placeholder: 'Auto' }),
    option('bucketOffset', 'Bucket offset', 'number', { placeholder: '0' }),
    option('combine', 'Combine series', 'boolean'),
  ],
  joinByField: [
    option('byField', 'Field', 'field', { about: 'The time where none is chosen' }),
    option('mode', 'Mode', 'select', {
      choices: mode(
        ['outer', 'Outer (time series)'],
        ['outerTabular', 'Outer (tabular)'],
        ['inner', 'Inner'],
      ),
    }),
  ],
  joinByLabels: [
    option('value', 'Value', 'text', { about: 'The label whose values become columns' }),
    option('join', 'Join by', 'strings', { about: 'All labels where none is named' }),
  ],
  labelsToFields: [
    option('mode', 'Mode', 'radio', { choices: mode(['columns', 'Columns'], ['rows', 'Rows']) }),
    option('keepLabels', 'Labels', 'strings', { about: 'All where none is named' }),
    option('valueLabel', 'Name of the value', 'text', { shown: is('mode', 'columns') }),
  ],
  limit: [option('limitField', 'Rows', 'text')],
  partitionByValues: [
    option('fields', 'Fields', 'strings'),
    option('keepFields', 'Keep these fields', 'boolean'),
    option('naming.asLabels', 'As labels', 'boolean'),
  ],
  prepareTimeSeries: [
    option('format', 'Format', 'select', {
      choices: mode(
        ['multi', 'A frame for each series'],
        ['wide', 'One wide frame'],
        ['long', 'One long frame'],
      ),
    }),
  ],
  reduce: [
    option('mode', 'Mode', 'radio', {
      choices: mode(['seriesToRows', 'Series to rows'], ['reduceFields', 'Reduce fields']),
    }),
    option('reducers', 'Calculations', 'stats'),
    option('labelsToFields', 'Labels to fields', 'boolean', {
      shown: ({ mode: chosen }) => chosen !== 'reduceFields',
    }),
    option('includeTimeField', 'Include time', 'boolean', { shown: is('mode', 'reduceFields') }),
  ],
  regression: [
    option('xFieldName', 'X', 'field'),
    option('yFieldName', 'Y', 'field'),
    option('modelType', 'Model', 'select', { choices: choices('linear', 'polynomial') }),
    option('degree', 'Degree', 'number', { min: 2, max: 5, shown: is('modelType', 'polynomial') }),
    option('predictionCount', 'Points', 'number', { min: 2, placeholder: '100' }),
  ],
  renameByRegex: [option('regex', 'Match', 'text'), option('renamePattern', 'Replace', 'text')],
  transpose: [
    option('firstFieldName', 'Name of the first field', 'text'),
    option('restFieldsName', 'Names of the others', 'text'),
  ],
  merge: [],
  seriesToRows: [],
};
