import { Combobox, InlineField, InlineFieldRow, InlineSwitch, Input } from '@grafana/ui';
import { wants } from '~/datasources/prometheus/query';
import type { Target } from '../../model';

interface Props {
  target: Target;
  set: (change: Partial<Target>) => void;
}

const LEGENDS = [
  { label: 'Auto', value: '__auto', description: 'Only the labels that differ' },
  { label: 'Verbose', value: '', description: 'All labels' },
];

/** What series are called: `{{job}}` is the value of a label. */
function Legend({ target, set }: Props) {
  const value = String(target.legendFormat ?? '');
  const options = LEGENDS.some((each) => each.value === value)
    ? LEGENDS
    : [...LEGENDS, { label: value, value, description: 'Custom' }];
  return (
    <InlineField label="Legend" tooltip="Auto, all labels, or a text with {{label}}">
      <Combobox
        aria-label="Legend"
        width={30}
        createCustomValue
        options={options}
        value={value}
        onChange={({ value: next }) => set({ legendFormat: next })}
      />
    </InlineField>
  );
}

const FORMATS = [
  { label: 'Time series', value: 'time_series' },
  { label: 'Table', value: 'table' },
  { label: 'Heatmap', value: 'heatmap' },
];

const RANGES = [
  { label: 'Range', value: 'range', description: 'Values over the time range' },
  { label: 'Instant', value: 'instant', description: 'The value at its end' },
  { label: 'Both', value: 'both' },
];

/** What can be said about a query of metrics besides its text. */
export function PromFields({ target, set }: Props) {
  const { instant, range } = wants(target as never);
  const kind = instant && range ? 'both' : instant ? 'instant' : 'range';
  return (
    <InlineFieldRow>
      <Legend target={target} set={set} />
      <Text name="interval" label="Min step" placeholder="auto" target={target} set={set} />
      <InlineField label="Format">
        <Combobox
          aria-label="Format"
          width={18}
          options={FORMATS}
          value={String(target.format ?? 'time_series')}
          onChange={({ value }) => set({ format: value })}
        />
      </InlineField>
      <InlineField label="Type">
        <Combobox
          aria-label="Type"
          width={16}
          options={RANGES}
          value={kind}
          onChange={({ value }) => set({ instant: value !== 'range', range: value !== 'instant' })}
        />
      </InlineField>
      <InlineField label="Exemplars">
        <InlineSwitch
          aria-label="Exemplars"
          value={Boolean(target.exemplar)}
          onChange={({ currentTarget }) => set({ exemplar: currentTarget.checked })}
        />
      </InlineField>
    </InlineFieldRow>
  );
}

const LOG_RANGES = RANGES.slice(0, 2);
const DIRECTIONS = [
  { label: 'Newest first', value: 'backward' },
  { label: 'Oldest first', value: 'forward' },
];

/** The same for one of logs. */
export function LokiFields({ target, set }: Props) {
  const { queryType, instant, maxLines, direction = 'backward' } = target;
  return (
    <InlineFieldRow>
      <Legend target={target} set={set} />
      <InlineField label="Type">
        <Combobox
          aria-label="Type"
          width={16}
          options={LOG_RANGES}
          value={queryType === 'instant' || instant ? 'instant' : 'range'}
          onChange={({ value }) => set({ queryType: value, instant: undefined } as never)}
        />
      </InlineField>
      <InlineField label="Line limit">
        <Input
          aria-label="Line limit"
          type="number"
          width={12}
          placeholder="auto"
          defaultValue={maxLines === undefined ? '' : Number(maxLines)}
          onBlur={({ currentTarget }) => set({ maxLines: Number(currentTarget.value) || undefined })}
        />
      </InlineField>
      <InlineField label="Direction">
        <Combobox
          aria-label="Direction"
          width={18}
          options={DIRECTIONS}
          value={String(direction)}
          onChange={({ value }) => set({ direction: value })}
        />
      </InlineField>
      <Text name="step" label="Step" placeholder="auto" target={target} set={set} />
    </InlineFieldRow>
  );
}

function Text({
  name,
  label,
  placeholder,
  target,
  set,
}: Props & { name: string; label: string; placeholder: string }) {
  return (
    <InlineField label={label}>
      <Input
        aria-label={label}
        width={12}
        placeholder={placeholder}
        defaultValue={String(target[name] ?? '')}
        onBlur={({ currentTarget }) => set({ [name]: currentTarget.value.trim() || undefined })}
      />
    </InlineField>
  );
}
