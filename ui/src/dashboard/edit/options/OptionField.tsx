import {
  Button,
  ColorPickerInput,
  Combobox,
  Field,
  Input,
  MultiCombobox,
  RadioButtonGroup,
  Slider,
  StatsPicker,
  Switch,
  TagsInput,
  TextArea,
  UnitPicker,
} from '@grafana/ui';
import type { DataFrame } from '@grafana/data';
import { useId, useState, type ReactElement } from 'react';
import type { Choice, Descriptor } from '~/panels/editing/descriptor';
import { isSame } from '../json';
import { JsonEditor } from '../settings/JsonEditor';
import { ColorMode } from './ColorMode';
import { FieldPicker } from './FieldPicker';
import { LinkList } from './LinkList';
import { Mappings } from './Mappings';
import { Thresholds } from './Thresholds';
import { XySeries } from './XySeries';

export interface EditorProps {
  option: Descriptor;
  value: unknown;
  /** Undefined takes the value away, so that it is the panel's own again. */
  onChange: (value: unknown) => void;
  /** The names of the fields there are. */
  fields: string[];
  /** What they come in. */
  frames?: DataFrame[];
}

/** An option with its name. */
export function OptionField(props: EditorProps) {
  const { option } = props;
  const id = useId();
  return (
    <Field label={option.name} description={option.about} noMargin htmlFor={id}>
      <OptionEditor {...props} id={id} />
    </Field>
  );
}

/** The editor of one option, by its kind. */
export function OptionEditor({
  option,
  value,
  onChange,
  fields,
  frames,
  id,
}: EditorProps & { id: string }): ReactElement {
  const { name, choices = [], placeholder = '' } = option;
  switch (option.kind) {
    case 'boolean':
      return (
        <Switch
          id={id}
          value={Boolean(value)}
          onChange={({ currentTarget }) => onChange(currentTarget.checked)}
        />
      );
    case 'radio':
      return <Radio id={id} option={option} value={value} onChange={onChange} />;
    case 'select':
      return (
        <Combobox
          id={id}
          aria-label={name}
          options={choices.map(textual)}
          value={writtenOf(choices, value)}
          onChange={({ value: chosen }) =>
            onChange(choices.find((choice) => String(choice.value) === chosen)?.value ?? undefined)
          }
        />
      );
    case 'multi':
      return (
        <MultiCombobox
          id={id}
          aria-label={name}
          options={choices.map(textual)}
          value={[value ?? []].flat().map(String)}
          onChange={(chosen) => onChange(chosen.map((each) => each.value))}
        />
      );
    case 'number':
      return <NumberInput id={id} option={option} value={value} onChange={onChange} />;
    case 'slider':
      return (
        <Slider
          inputId={id}
          ariaLabelForHandle={name}
          min={option.min ?? 0}
          max={option.max ?? 100}
          step={option.step ?? 1}
          value={Number(value ?? option.min ?? 0)}
          onChange={onChange}
        />
      );
    case 'unit':
      return <UnitPicker id={id} {...(value ? { value: String(value) } : {})} onChange={onChange} />;
    case 'color':
      return <ColorPickerInput id={id} value={String(value ?? '')} onChange={onChange} />;
    case 'stats':
      return (
        <StatsPicker id={id} allowMultiple stats={[value ?? []].flat().map(String)} onChange={onChange} />
      );
    case 'field':
      return <FieldPicker id={id} name={name} value={value} fields={fields} onChange={onChange} />;
    case 'strings':
      return <TagsInput id={id} tags={(value as string[] | undefined) ?? []} onChange={onChange} />;
    case 'long':
      return (
        <TextArea
          id={id}
          rows={4}
          placeholder={placeholder}
          value={String(value ?? '')}
          onChange={({ currentTarget }) => onChange(currentTarget.value)}
        />
      );
    case 'code':
      return (
        <TextArea
          id={id}
          rows={14}
          value={String(value ?? '')}
          onChange={({ currentTarget }) => onChange(currentTarget.value)}
        />
      );
    case 'colorMode':
      return <ColorMode id={id} value={value} onChange={onChange} />;
    case 'thresholds':
      return <Thresholds value={value} onChange={onChange} />;
    case 'mappings':
      return <Mappings value={value} onChange={onChange} />;
    case 'links':
      return <LinkList value={value} onChange={onChange} />;
    case 'xySeries':
      return <XySeries value={value} onChange={onChange} frames={frames ?? []} />;
    case 'json':
      return <JsonValue name={name} value={value} onChange={onChange} />;
    default:
      return (
        <Input
          id={id}
          placeholder={placeholder}
          value={String(value ?? '')}
          onChange={({ currentTarget }) => onChange(currentTarget.value || undefined)}
        />
      );
  }
}

/** Choices are of several types, and the components know texts and numbers. */
const textual = ({ label, value }: Choice) => ({ label, value: String(value) });

const writtenOf = (choices: Choice[], value: unknown) => {
  const found = choices.find((choice) => isSame(choice.value, value ?? null) || choice.value === value);
  return found ? String(found.value) : value === undefined ? null : String(value);
};

interface Props {
  id: string;
  option: Descriptor;
  value: unknown;
  onChange: (value: unknown) => void;
}

function Radio({ id, option: { choices = [], name }, value, onChange }: Props) {
  const change = (chosen: string) =>
    onChange(choices.find((choice) => String(choice.value) === chosen)?.value ?? undefined);
  return (
    <RadioButtonGroup
      id={id}
      aria-label={name}
      fullWidth
      options={choices.map(textual)}
      value={writtenOf(choices, value) ?? ''}
      onChange={change}
    />
  );
}

/** A number is taken once it is one, and when nothing is left it is the panel's own again. */
function NumberInput({ id, option, value, onChange }: Props) {
  const { name, placeholder = '', min, max, step } = option;
  const stored = value === undefined || value === null ? '' : String(value);
  const [typed, setTyped] = useState<string>();
  const change = (text: string) => {
    setTyped(text);
    if (text === '') onChange(undefined);
    else if (Number.isFinite(Number(text))) onChange(Number(text));
  };
  return (
    <Input
      id={id}
      type="number"
      aria-label={name}
      placeholder={placeholder}
      {...(min === undefined ? {} : { min })}
      {...(max === undefined ? {} : { max })}
      step={step ?? 'any'}
      value={typed ?? stored}
      onChange={({ currentTarget }) => change(currentTarget.value)}
      onBlur={() => setTyped(undefined)}
    />
  );
}

/** What has no editor of its own. */
function JsonValue({
  name,
  value,
  onChange,
}: {
  name: string;
  value: unknown;
  onChange: (value: unknown) => void;
}) {
  const stored = JSON.stringify(value ?? null, undefined, 2);
  const [text, setText] = useState(stored);
  const [problem, setProblem] = useState<string>();
  const apply = () => {
    try {
      onChange(JSON.parse(text));
      setProblem(undefined);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <div>
      <JsonEditor value={text} onChange={setText} label={name} height="160px" />
      {problem && <p role="alert">{problem}</p>}
      <Button size="sm" variant="secondary" disabled={text === stored} onClick={apply}>
        Apply
      </Button>
    </div>
  );
}
