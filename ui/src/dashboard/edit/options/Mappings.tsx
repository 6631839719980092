import { ColorPickerInput, Combobox, IconButton, Input, Stack } from '@grafana/ui';
import { removedAt, replacedAt } from '../json';

interface Result {
  text?: string;
  color?: string;
  index?: number;
}

export type MappingType = 'value' | 'range' | 'regex' | 'special';

/** One line of the list: a value, or what it is matched by, and what is shown in its place. */
export interface Row {
  type: MappingType;
  value?: string;
  from?: number | null;
  to?: number | null;
  pattern?: string;
  match?: string;
  result: Result;
}

interface Stored {
  type: MappingType;
  options: Record<string, unknown>;
}

/** Values have a mapping in common, with a result for each. */
export function rowsOf(mappings: Stored[]): Row[] {
  const rows = mappings.flatMap(({ type, options }): Row[] => {
    if (type === 'value')
      return Object.entries(options as Record<string, Result>).map(([value, result]) => ({
        type,
        value,
        result,
      }));
    return [{ type, ...(options as unknown as Omit<Row, 'type'>) }];
  });
  return rows
    .map((row, at) => ({ row, at: row.result?.index ?? at }))
    .sort((a, b) => a.at - b.at)
    .map(({ row }) => row);
}

export function mappingsOf(rows: Row[]): Stored[] {
  const values: Record<string, Result> = {};
  const others: Stored[] = [];
  rows.forEach(({ type, value = '', result, ...rest }, index) => {
    const ranked = { ...result, index };
    if (type === 'value') values[value] = ranked;
    else others.push({ type, options: { ...rest, result: ranked } });
  });
  return Object.keys(values).length ? [{ type: 'value', options: values }, ...others] : others;
}

const TYPES: { label: string; value: MappingType }[] = [
  { label: 'Value', value: 'value' },
  { label: 'Range', value: 'range' },
  { label: 'Regex', value: 'regex' },
  { label: 'Special', value: 'special' },
];

const SPECIAL = [
  { label: 'Null', value: 'null' },
  { label: 'NaN', value: 'nan' },
  { label: 'Null and NaN', value: 'null+nan' },
  { label: 'Empty text', value: 'empty' },
  { label: 'True', value: 'true' },
  { label: 'False', value: 'false' },
];

const NEW: Record<MappingType, Row> = {
  value: { type: 'value', value: '', result: {} },
  range: { type: 'range', from: 0, to: 1, result: {} },
  regex: { type: 'regex', pattern: '', result: {} },
  special: { type: 'special', match: 'null', result: {} },
};

interface Props {
  value: unknown;
  onChange: (value: unknown) => void;
}

/** Texts and colours in place of values. */
export function Mappings({ value, onChange }: Props) {
  const rows = rowsOf((value as Stored[] | undefined) ?? []);
  const set = (next: Row[]) => onChange(mappingsOf(next));
  return (
    <Stack direction="column" gap={2}>
      {rows.map((row, at) => (
        <Stack key={at} direction="column" gap={0.5}>
          <Stack alignItems="center">
            <Condition row={row} onChange={(part) => set(replacedAt(rows, at, { ...row, ...part }))} />
            <IconButton
              name="trash-alt"
              aria-label="Remove mapping"
              onClick={() => set(removedAt(rows, at))}
            />
          </Stack>
          <Stack>
            <Input
              aria-label="Display text"
              placeholder="Shown as"
              value={row.result.text ?? ''}
              onChange={({ currentTarget }) =>
                set(replacedAt(rows, at, { ...row, result: { ...row.result, text: currentTarget.value } }))
              }
            />
            <ColorPickerInput
              aria-label="Colour of the mapping"
              value={row.result.color ?? ''}
              onChange={(color) => set(replacedAt(rows, at, { ...row, result: { ...row.result, color } }))}
            />
          </Stack>
        </Stack>
      ))}
      <Combobox
        aria-label="Add value mapping"
        placeholder="Add a mapping of…"
        options={TYPES}
        value={null}
        onChange={({ value: type }) => set([...rows, NEW[type]])}
      />
    </Stack>
  );
}

function Condition({ row, onChange }: { row: Row; onChange: (part: Partial<Row>) => void }) {
  const numeric = (name: 'from' | 'to', label: string) => (
    <Input
      type="number"
      step="any"
      aria-label={label}
      placeholder={label}
      value={row[name] ?? ''}
      onChange={({ currentTarget }) =>
        onChange({ [name]: currentTarget.value === '' ? null : Number(currentTarget.value) })
      }
    />
  );
  switch (row.type) {
    case 'range':
      return (
        <>
          {numeric('from', 'From')}
          {numeric('to', 'To')}
        </>
      );
    case 'regex':
      return (
        <Input
          aria-label="Regular expression"
          placeholder="Regular expression"
          value={row.pattern ?? ''}
          onChange={({ currentTarget }) => onChange({ pattern: currentTarget.value })}
        />
      );
    case 'special':
      return (
        <Combobox
          aria-label="Special value"
          options={SPECIAL}
          value={row.match ?? 'null'}
          onChange={({ value }) => onChange({ match: value })}
        />
      );
    default:
      return (
        <Input
          aria-label="Value to map"
          placeholder="Value"
          value={row.value ?? ''}
          onChange={({ currentTarget }) => onChange({ value: currentTarget.value })}
        />
      );
  }
}
