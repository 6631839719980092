/** Transformations between series and tables. */
import {
  FieldType,
  fieldReducers,
  outerJoinDataFrames,
  reduceField,
  type DataFrame,
  type Field,
} from '@grafana/data';
import { transformation } from './define';

interface PrepareOptions {
  format?: 'wide' | 'multi' | 'many' | 'long';
}

/** Series in one frame, in a frame each, or as rows with their labels. */
export const prepareTimeSeries = transformation<PrepareOptions>(
  'prepareTimeSeries',
  'Prepare time series',
  (frames, { format = 'wide' }) => {
    const timed = frames.filter(({ fields }) => fields.some(({ type }) => type === FieldType.time));
    if (format === 'multi' || format === 'many') return timed.flatMap(separated);
    if (format === 'long') return [long(timed.flatMap(separated))];
    const joined = outerJoinDataFrames({ frames: timed });
    return joined ? [joined] : [];
  },
);

/** A frame for each number of a frame; texts beside them become labels. */
function separated(frame: DataFrame): DataFrame[] {
  const time = frame.fields.find(({ type }) => type === FieldType.time) as Field;
  const texts = frame.fields.filter(({ type }) => type === FieldType.string);
  const numbers = frame.fields.filter(({ type }) => type === FieldType.number || type === FieldType.boolean);
  if (!texts.length) return numbers.map((number) => ({ ...frame, fields: [time, number] }));
  const rows = new Map<string, number[]>();
  for (let row = 0; row < frame.length; row++) {
    const key = JSON.stringify(texts.map(({ values }) => String(values[row])));
    rows.set(key, [...(rows.get(key) ?? []), row]);
  }
  return [...rows.values()].flatMap((own) =>
    numbers.map((number) => {
      const labels = Object.fromEntries(
        texts.map(({ name, values }) => [name, String(values[own[0] as number])]),
      );
      const pick = (field: Field): Field => ({
        ...field,
        values: own.map((row) => field.values[row] as unknown),
      });
      return {
        ...frame,
        fields: [pick(time), { ...pick(number), labels: { ...number.labels, ...labels } }],
        length: own.length,
      };
    }),
  );
}

function long(series: DataFrame[]): DataFrame {
  const names = [...new Set(series.flatMap(({ fields }) => Object.keys(fields[1]?.labels ?? {})))].sort();
  const rows = series.flatMap(({ fields: [time, number], length }) =>
    Array.from({ length }, (_, row) => ({
      time: time?.values[row] as number,
      value: number?.values[row] as unknown,
      labels: number?.labels ?? {},
    })),
  );
  rows.sort((a, b) => a.time - b.time);
  const field = (name: string, type: FieldType, values: unknown[]): Field => ({
    name,
    type,
    config: {},
    values,
  });
  return {
    fields: [
      field(
        'Time',
        FieldType.time,
        rows.map(({ time }) => time),
      ),
      ...names.map((name) =>
        field(
          name,
          FieldType.string,
          rows.map(({ labels }) => labels[name] ?? ''),
        ),
      ),
      field(
        'Value',
        FieldType.number,
        rows.map(({ value }) => value),
      ),
    ],
    length: rows.length,
  };
}

interface PartitionOptions {
  fields?: string[];
  keepFields?: boolean;
  naming?: {
    asLabels?: boolean;
    append?: boolean;
    withNames?: boolean;
    separator1?: string;
    separator2?: string;
  };
}

/** A frame for each distinct value, or combination of values, of some fields. */
export const partitionByValues = transformation<PartitionOptions>(
  'partitionByValues',
  'Partition by values',
  (frames, { fields: names = [], keepFields, naming = {} }) => {
    const [frame, ...others] = frames;
    const keys = frame?.fields.filter(({ name }) => names.includes(name)) ?? [];
    if (!frame || !keys.length) return frames;
    const rows = new Map<string, number[]>();
    for (let row = 0; row < frame.length; row++) {
      const key = JSON.stringify(keys.map(({ values }) => values[row] as unknown));
      rows.set(key, [...(rows.get(key) ?? []), row]);
    }
    const kept = keepFields ? frame.fields : frame.fields.filter((field) => !keys.includes(field));
    const parts = [...rows.values()].map((own): DataFrame => {
      const values = keys.map(({ name, values: all }): [string, string] => [
        name,
        String(all[own[0] as number]),
      ]);
      const labels = Object.fromEntries(values);
      const name = values
        .map(([key, value]) => (naming.withNames ? `${key}${naming.separator1 ?? ' '}${value}` : value))
        .join(naming.separator2 ?? ' ');
      const fields = kept.map((field) => ({
        ...field,
        values: own.map((row) => field.values[row] as unknown),
        ...(naming.asLabels ? { labels: { ...field.labels, ...labels } } : {}),
      }));
      return {
        ...frame,
        ...(naming.asLabels ? {} : { name: naming.append && frame.name ? `${frame.name} ${name}` : name }),
        fields,
        length: own.length,
      };
    });
    return [...parts, ...others];
  },
);

interface JoinByLabelsOptions {
  value?: string;
  join?: string[];
}

/** One table of all series: a row for each combination of labels, and a column for each value of one of them. */
export const joinByLabels = transformation<JoinByLabelsOptions>(
  'joinByLabels',
  'Join by labels',
  (frames, { value, join }) => {
    if (!value) return frames;
    const series = frames.flatMap(({ fields }) =>
      fields.filter(({ type, labels }) => type === FieldType.number && labels?.[value] !== undefined),
    );
    const names =
      join ??
      [...new Set(series.flatMap(({ labels = {} }) => Object.keys(labels)))]
        .filter((name) => name !== value)
        .sort();
    const columns = [...new Set(series.map(({ labels }) => String(labels?.[value])))];
    const rows = new Map<string, { labels: string[]; values: Map<string, unknown> }>();
    for (const field of series) {
      const labels = names.map((name) => field.labels?.[name] ?? '');
      const key = JSON.stringify(labels);
      const row = rows.get(key) ?? { labels, values: new Map<string, unknown>() };
      row.values.set(String(field.labels?.[value]), field.values.at(-1));
      rows.set(key, row);
    }
    const all = [...rows.values()];
    return [
      {
        fields: [
          ...names.map((name, at): Field => ({
            name,
            type: FieldType.string,
            config: {},
            values: all.map(({ labels }) => labels[at]),
          })),
          ...columns.map((name): Field => ({
            name,
            type: FieldType.number,
            config: {},
            values: all.map(({ values }) => values.get(name)),
          })),
        ],
        length: all.length,
      },
    ];
  },
);

type TableOptions = Record<string, { stat?: string; timeField?: string } | undefined>;

/** A row for each series, with its labels and the series itself as a small graph. */
export const timeSeriesTable = transformation<TableOptions>(
  'timeSeriesTable',
  'Time series to table',
  (frames, options) => {
    const byQuery = new Map<string, DataFrame[]>();
    for (const frame of frames)
      byQuery.set(frame.refId ?? 'A', [...(byQuery.get(frame.refId ?? 'A') ?? []), frame]);
    return [...byQuery].map(([refId, series]) => {
      const values = series.map(({ fields }) => fields.find(({ type }) => type === FieldType.number));
      const names = [...new Set(values.flatMap((field) => Object.keys(field?.labels ?? {})))];
      const stat = options[refId]?.stat ?? 'lastNotNull';
      const reducer = fieldReducers.getIfExists(stat) ? stat : 'lastNotNull';
      const trend = series.map((frame, at) => {
        const field = values[at];
        return {
          ...frame,
          value: field ? (reduceField({ field, reducers: [reducer] })[reducer] as unknown) : null,
        };
      });
      return {
        refId,
        fields: [
          ...names.map((name): Field => ({
            name,
            type: FieldType.string,
            config: {},
            values: values.map((field) => field?.labels?.[name] ?? ''),
          })),
          { name: `Trend #${refId}`, type: FieldType.frame, config: {}, values: trend },
        ],
        length: series.length,
      };
    });
  },
);
