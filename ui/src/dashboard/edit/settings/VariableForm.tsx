import { Box, Button, Combobox, Field, Input, RadioButtonGroup, Stack, Switch, TextArea } from '@grafana/ui';
import type { DashboardScene } from '../../DashboardScene';
import type { VariableJson } from '../../model';
import { DataSourceSelect } from '../DataSourceSelect';
import { KindFields } from './VariableKinds';
import { Preview } from './VariablePreview';

const KINDS = [
  { value: 'query', label: 'Query', description: 'Values that a data source gives' },
  { value: 'custom', label: 'Custom', description: 'Values that are written here' },
  { value: 'textbox', label: 'Text box', description: 'Whatever is typed' },
  { value: 'constant', label: 'Constant', description: 'A value that is hidden' },
  { value: 'datasource', label: 'Data source', description: 'Sources of a kind' },
  { value: 'interval', label: 'Interval', description: 'Spans of time' },
  { value: 'adhoc', label: 'Filters', description: 'Label filters, put into every query of a data source' },
  { value: 'groupby', label: 'Group by', description: 'Labels to group by' },
  { value: 'switch', label: 'Switch', description: 'On or off' },
];

const SHOWN = [
  { label: 'Label and value', value: 0 },
  { label: 'Value', value: 1 },
  { label: 'Nothing', value: 2 },
];

const WITH_OPTIONS = ['query', 'custom', 'datasource'];

export interface FormProps {
  variable: VariableJson;
  set: (change: Partial<VariableJson>) => void;
}

interface Props {
  scene: DashboardScene;
  variable: VariableJson;
  others: VariableJson[];
  onChange: (variable: VariableJson) => void;
  onClose: () => void;
}

/** One variable, with the values that it has. */
export function VariableForm({ scene, variable, others, onChange, onClose }: Props) {
  const set = (change: Partial<VariableJson>) => onChange({ ...variable, ...change });
  const { name, type } = variable;
  const problem = nameProblem(name, others);
  return (
    <Box maxWidth={80}>
      <Stack direction="column" gap={2}>
        <Field label="Kind" noMargin>
          <Combobox
            aria-label="Kind"
            width={40}
            options={KINDS}
            value={type}
            onChange={({ value }) => onChange(ofKind(variable, value))}
          />
        </Field>
        <Stack wrap="wrap">
          <Field label="Name" noMargin invalid={Boolean(problem)} error={problem}>
            <Input
              id="variable-name"
              width={30}
              value={name}
              onChange={({ currentTarget }) => set({ name: currentTarget.value })}
            />
          </Field>
          <Field label="Label" noMargin>
            <Input
              id="variable-label"
              width={30}
              value={variable.label ?? ''}
              onChange={({ currentTarget }) => set({ label: currentTarget.value })}
            />
          </Field>
        </Stack>
        <Field label="Description" noMargin>
          <TextArea
            id="variable-description"
            cols={62}
            rows={2}
            value={variable.description ?? ''}
            onChange={({ currentTarget }) => set({ description: currentTarget.value })}
          />
        </Field>
        <Field label="Shown" noMargin>
          <RadioButtonGroup options={SHOWN} value={variable.hide ?? 0} onChange={(hide) => set({ hide })} />
        </Field>
        {['query', 'adhoc', 'groupby'].includes(type) && (
          <Field label="Data source" noMargin>
            <DataSourceSelect
              scene={scene}
              value={variable.datasource}
              onChange={(datasource) => set({ datasource })}
            />
          </Field>
        )}
        <KindFields variable={variable} set={set} />
        {WITH_OPTIONS.includes(type) && <Selection variable={variable} set={set} />}
        {[...WITH_OPTIONS, 'interval'].includes(type) && (
          <Preview scene={scene} variable={variable} others={others} />
        )}
        <Stack>
          <Button onClick={onClose} disabled={Boolean(problem)}>
            Back to list
          </Button>
        </Stack>
      </Stack>
    </Box>
  );
}

function nameProblem(name: string, others: VariableJson[]): string | undefined {
  if (!/^\w+$/.test(name)) return 'Letters, digits and _ only';
  if (name.startsWith('__')) return 'Names that begin with __ are the program’s own';
  if (others.some((other) => other.name === name)) return `There is another variable ${name}`;
  return undefined;
}

/** The variable as one of another kind: what only the old kind had is left out. */
function ofKind({ name, label, description, hide, skipUrlSync }: VariableJson, type: string): VariableJson {
  const common = {
    type,
    name,
    ...(label ? { label } : {}),
    ...(description ? { description } : {}),
    hide: type === 'constant' ? 2 : (hide ?? 0),
    ...(skipUrlSync ? { skipUrlSync } : {}),
  };
  switch (type) {
    case 'query':
      return { ...common, query: '', refresh: 1, sort: 0, regex: '', current: {} };
    case 'interval':
      return { ...common, query: '1m,10m,30m,1h,6h,12h,1d', auto: false, refresh: 2, current: {} };
    case 'datasource':
      return { ...common, query: 'prometheus', regex: '', current: {} };
    case 'adhoc':
      return { ...common, filters: [], baseFilters: [] };
    default:
      return { ...common, query: '', current: {} };
  }
}

function Selection({ variable, set }: FormProps) {
  const { multi = false, includeAll = false, allValue, allowCustomValue = true } = variable;
  return (
    <>
      <Field label="Several values at a time" noMargin>
        <Switch
          id="variable-multi"
          value={multi}
          onChange={({ currentTarget }) => set({ multi: currentTarget.checked })}
        />
      </Field>
      <Field label="A choice of all values" noMargin>
        <Switch
          id="variable-all"
          value={includeAll}
          onChange={({ currentTarget }) => set({ includeAll: currentTarget.checked })}
        />
      </Field>
      {includeAll && (
        <Field label="What stands for all" description="In place of all values, such as .*" noMargin>
          <Input
            id="variable-all-value"
            width={30}
            value={allValue ?? ''}
            onChange={({ currentTarget }) => set({ allValue: currentTarget.value || null })}
          />
        </Field>
      )}
      <Field label="Values that are not in the list" noMargin>
        <Switch
          id="variable-custom"
          value={allowCustomValue}
          onChange={({ currentTarget }) => set({ allowCustomValue: currentTarget.checked })}
        />
      </Field>
    </>
  );
}
