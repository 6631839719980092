import { FieldColorModeId, fieldColorModeRegistry } from '@grafana/data';
import { ColorPickerInput, Combobox, Stack } from '@grafana/ui';

interface Stored {
  mode?: string;
  fixedColor?: string;
  seriesBy?: string;
}

interface Props {
  id: string;
  value: unknown;
  onChange: (value: unknown) => void;
}

const SERIES_BY = [
  { label: 'Last', value: 'last' },
  { label: 'Min', value: 'min' },
  { label: 'Max', value: 'max' },
];

/** Where the colour of a field comes from. */
export function ColorMode({ id, value, onChange }: Props) {
  const { mode = FieldColorModeId.Thresholds, fixedColor, seriesBy = 'last' } = (value ?? {}) as Stored;
  const options = fieldColorModeRegistry
    .list()
    .filter(({ excludeFromPicker }) => !excludeFromPicker)
    .map(({ id: known, name, description }) => ({
      value: known,
      label: name,
      ...(description ? { description } : {}),
    }));
  const isOne = mode === FieldColorModeId.Fixed || mode === FieldColorModeId.Shades;
  const isByValue = fieldColorModeRegistry.getIfExists(mode)?.isByValue ?? false;
  return (
    <Stack direction="column">
      <Combobox
        id={id}
        aria-label="Color scheme"
        options={options}
        value={mode}
        onChange={({ value: next }) => onChange({ ...(value as Stored | undefined), mode: next })}
      />
      {isOne && (
        <ColorPickerInput
          aria-label="Colour"
          value={fixedColor ?? ''}
          onChange={(color) => onChange({ ...(value as Stored), mode, fixedColor: color })}
        />
      )}
      {isByValue && (
        <Combobox
          aria-label="Colour series by"
          options={SERIES_BY}
          value={seriesBy}
          onChange={({ value: next }) => onChange({ ...(value as Stored), mode, seriesBy: next })}
        />
      )}
    </Stack>
  );
}
