import type { MultiValueVariable, VariableValueSingle } from '@grafana/scenes';

export interface RepeatValue {
  value: VariableValueSingle;
  text: string;
}

/** The values a panel or row is repeated for: those chosen, or all there are. */
export function repeatValues(variable: MultiValueVariable): RepeatValue[] {
  const { value, text, options } = variable.state;
  if (variable.hasAllValue()) {
    return options.map((option) => ({ value: option.value as VariableValueSingle, text: option.label }));
  }
  const values = [value].flat() as VariableValueSingle[];
  const texts = [text].flat() as VariableValueSingle[];
  return values
    .map((each, index) => ({ value: each, text: String(texts[index] ?? each) }))
    .filter((each) => each.value !== '');
}
