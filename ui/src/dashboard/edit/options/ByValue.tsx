import { ReducerID, fieldReducers } from '@grafana/data';
import { ComparisonOperation } from '@grafana/schema';
import { Combobox, Stack } from '@grafana/ui';
import { OptionEditor } from './OptionField';

interface Stored {
  reducer?: string;
  op?: string;
  value?: number;
}

export const BY_VALUE: Stored = { reducer: ReducerID.allIsZero, op: ComparisonOperation.GTE, value: 0 };

const OPERATIONS = [
  { label: '=', value: ComparisonOperation.EQ },
  { label: '≠', value: ComparisonOperation.NEQ },
  { label: '>', value: ComparisonOperation.GT },
  { label: '≥', value: ComparisonOperation.GTE },
  { label: '<', value: ComparisonOperation.LT },
  { label: '≤', value: ComparisonOperation.LTE },
];

const VALUE = { path: 'value', name: 'Value to compare with', category: '', kind: 'number' } as const;

/** Reducers that say yes or no by themselves. */
const isDecided = (reducer: string | undefined) =>
  reducer === ReducerID.allIsNull || reducer === ReducerID.allIsZero;

interface Props {
  options: unknown;
  onChange: (options: unknown) => void;
}

/** Fields whose values come to a number that compares so. */
export function ByValue({ options, onChange }: Props) {
  const stored = (options || {}) as Stored;
  const { reducer, op = ComparisonOperation.EQ, value } = stored;
  const set = (part: Stored) => onChange({ ...stored, ...part });
  return (
    <Stack direction="column" gap={1}>
      <Combobox
        aria-label="What values come to"
        placeholder="Choose what values come to"
        options={fieldReducers
          .list()
          .map(({ id, name, description }) => ({ label: name, value: id as string, description }))}
        value={reducer ?? null}
        onChange={({ value: next }) => set({ reducer: next })}
      />
      {reducer && !isDecided(reducer) && (
        <Stack gap={1}>
          <Combobox
            aria-label="Comparison"
            width={10}
            options={OPERATIONS}
            value={op as ComparisonOperation}
            onChange={({ value: next }) => set({ op: next })}
          />
          <OptionEditor
            id=""
            option={VALUE}
            value={value}
            fields={[]}
            // To compare with nothing would be to compare with the word null.
            onChange={(next) => set({ value: Number(next ?? 0) })}
          />
        </Stack>
      )}
    </Stack>
  );
}
