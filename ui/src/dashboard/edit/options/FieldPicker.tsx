import { Combobox } from '@grafana/ui';

interface FieldPickerProps {
  id: string;
  name: string;
  value: unknown;
  fields: string[];
  onChange: (value: unknown) => void;
}

/** A field by its name, also one that is not there now. */
export function FieldPicker({ id, name, value, fields, onChange }: FieldPickerProps) {
  const chosen = value ? String(value) : '';
  const known = chosen && !fields.includes(chosen) ? [...fields, chosen] : fields;
  return (
    <Combobox
      id={id}
      aria-label={name}
      isClearable
      createCustomValue
      options={known.map((field) => ({ label: field, value: field }))}
      value={chosen || null}
      onChange={(next) => onChange(next?.value)}
    />
  );
}
