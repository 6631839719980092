/** Transformations that make fields of what is in others. */
import {
  FieldType,
  getFieldDisplayName,
  guessFieldTypeForField,
  type DataFrame,
  type Field,
} from '@grafana/data';
import { transformation } from './define';

/** A field whose type is that of its values. */
export function guessed(name: string, values: unknown[]): Field {
  const field: Field = { name, type: FieldType.other, config: {}, values };
  return { ...field, type: guessFieldTypeForField(field) ?? FieldType.other };
}

const named = (frame: DataFrame, name: string | undefined, frames: DataFrame[]) =>
  frame.fields.find((field) => field.name === name || getFieldDisplayName(field, frame, frames) === name);

interface ExtractOptions {
  source?: string;
  format?: 'json' | 'kvp' | 'auto' | 'regexp' | 'delimiter';
  regExp?: string;
  delimiter?: string;
  jsonPaths?: { path: string; alias?: string }[];
  replace?: boolean;
  keepTime?: boolean;
}

/** Reads what stands in a text, such as JSON or `key=value` pairs, into fields. */
export const extractFields = transformation<ExtractOptions>(
  'extractFields',
  'Extract fields',
  (frames, options) =>
    frames.map((frame) => {
      const source = named(frame, options.source, frames);
      if (!source) return frame;
      const columns = new Map<string, unknown[]>();
      source.values.forEach((value: unknown, row) => {
        for (const [name, found] of Object.entries(extract(value, options))) {
          let column = columns.get(name);
          if (!column) columns.set(name, (column = new Array<unknown>(frame.length).fill(undefined)));
          column[row] = found;
        }
      });
      const made = [...columns].map(([name, values]) => guessed(name, values));
      const kept = options.replace
        ? frame.fields.filter(({ type }) => options.keepTime && type === FieldType.time)
        : frame.fields;
      return { ...frame, fields: [...kept, ...made] };
    }),
);

type Found = Record<string, unknown>;

function extract(
  value: unknown,
  { format = 'auto', jsonPaths, regExp, delimiter = ',' }: ExtractOptions,
): Found {
  if (typeof value === 'object' && value !== null) return picked(value as Found, jsonPaths);
  const text = String(value ?? '');
  switch (format) {
    case 'json':
      return picked(parsed(text) ?? {}, jsonPaths);
    case 'kvp':
      return pairs(text);
    case 'regexp':
      return { ...(new RegExp((regExp ?? '').replace(/^\/|\/[a-z]*$/g, '')).exec(text)?.groups ?? {}) };
    case 'delimiter':
      return Object.fromEntries(text.split(delimiter).map((part) => [part.trim(), true]));
    default:
      return picked(parsed(text) ?? pairs(text), jsonPaths);
  }
}

function parsed(text: string): Found | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Found) : undefined;
  } catch {
    return undefined;
  }
}

function picked(value: Found, paths: ExtractOptions['jsonPaths']): Found {
  if (!paths?.length) return value;
  const at = (path: string) =>
    path
      .split(/[.[\]]+/)
      .filter(Boolean)
      .reduce<unknown>((inner, step) => (inner as Found | undefined)?.[step], value);
  return Object.fromEntries(paths.map(({ path, alias }) => [alias || path, at(path)]));
}

const PAIR = /([\w.-]+)\s*[=:]\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^\s,;]+))/g;

function pairs(text: string): Found {
  const found: Found = {};
  for (const [, name = '', double, single, bare] of text.matchAll(PAIR)) {
    const value = double ?? single ?? bare ?? '';
    found[name] =
      bare !== undefined && bare.trim() !== '' && !Number.isNaN(Number(bare)) ? Number(bare) : value;
  }
  return found;
}

interface RowsToFieldsOptions {
  mappings?: { fieldName: string; handlerKey: string }[];
}

/** Each row becomes a field, named by one column and valued by another; the rest are its labels. */
export const rowsToFields = transformation<RowsToFieldsOptions>(
  'rowsToFields',
  'Rows to fields',
  (frames, { mappings = [] }) =>
    frames.map((frame) => {
      const mapped = (key: string) =>
        named(frame, mappings.find(({ handlerKey }) => handlerKey === key)?.fieldName, frames);
      const name = mapped('field.name') ?? frame.fields.find(({ type }) => type === FieldType.string);
      const value = mapped('field.value') ?? frame.fields.find(({ type }) => type === FieldType.number);
      if (!name || !value) return frame;
      const configured = mappings.filter(({ handlerKey }) =>
        ['unit', 'min', 'max', 'decimals', 'displayName', 'color'].includes(handlerKey),
      );
      const labels = frame.fields.filter(
        (field) =>
          field !== name &&
          field !== value &&
          field.type === FieldType.string &&
          !configured.some(({ fieldName }) => fieldName === field.name),
      );
      const fields = name.values.map((text: unknown, row): Field => ({
        name: String(text),
        type: value.type,
        labels: Object.fromEntries(labels.map((label) => [label.name, String(label.values[row])])),
        config: {
          ...value.config,
          ...Object.fromEntries(
            configured.map(({ fieldName, handlerKey }) => [
              handlerKey,
              named(frame, fieldName, frames)?.values[row] as unknown,
            ]),
          ),
        },
        values: [value.values[row] as unknown],
      }));
      return { ...frame, fields, length: 1 };
    }),
);

interface ConfigOptions {
  configRefId?: string;
  mappings?: { fieldName: string; handlerKey: string | null; reducerId?: string }[];
}

const CONFIGURED: Record<string, string> = {
  min: 'min',
  max: 'max',
  unit: 'unit',
  decimals: 'decimals',
  displayName: 'displayName',
  'display name': 'displayName',
};

/** The answer of one query says how fields of the others look. */
export const configFromQuery = transformation<ConfigOptions>(
  'configFromData',
  'Config from query results',
  (frames, { configRefId = 'config', mappings = [] }) => {
    const source = frames.find(({ refId }) => refId === configRefId);
    if (!source) return frames;
    const config: Record<string, unknown> = {};
    for (const field of source.fields) {
      const name = getFieldDisplayName(field, source, frames);
      const mapping = mappings.find(({ fieldName }) => fieldName === name);
      const key = mapping ? mapping.handlerKey : CONFIGURED[name.toLowerCase()];
      const value: unknown = field.values.findLast((each: unknown) => each !== null && each !== undefined);
      if (!key || value === undefined) continue;
      if (key === 'threshold1')
        config.thresholds = {
          mode: 'absolute',
          steps: [
            { value: -Infinity, color: 'green' },
            { value, color: 'red' },
          ],
        };
      else config[key] = value;
    }
    return frames
      .filter((frame) => frame !== source)
      .map((frame) => ({
        ...frame,
        fields: frame.fields.map((field) =>
          field.type === FieldType.number ? { ...field, config: { ...field.config, ...config } } : field,
        ),
      }));
  },
);
