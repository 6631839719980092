import { Combobox, Field, Input, RadioButtonGroup, Stack, Switch, TextArea } from '@grafana/ui';
import { isObject } from '../json';
import { variableText } from '~/datasources/prometheus/variables';
import type { FormProps } from './VariableForm';

const REFRESH = [
  { label: 'When the dashboard is opened', value: 1 },
  { label: 'When the time range changes', value: 2 },
];

const SORTS = [
  'As they come',
  'A to Z',
  'Z to A',
  '1 to 9',
  '9 to 1',
  'A to Z, upper and lower case alike',
  'Z to A, upper and lower case alike',
  'Natural, rising',
  'Natural, falling',
].map((label, value) => ({ label, value }));

const SOURCES = [
  { label: 'Prometheus', value: 'prometheus' },
  { label: 'Loki', value: 'loki' },
  { label: 'Alertmanager', value: 'alertmanager' },
];

/** What only variables of one kind have. */
export function KindFields({ variable, set }: FormProps) {
  switch (variable.type) {
    case 'query':
      return <QueryFields variable={variable} set={set} />;
    case 'custom':
      return (
        <TextField
          label="Values"
          about="Between commas; `text : value` shows one and means the other"
          variable={variable}
          set={set}
          isLong
        />
      );
    case 'datasource':
      return (
        <>
          <Field label="Kind of data source" noMargin>
            <Combobox
              aria-label="Kind of data source"
              width={30}
              options={SOURCES}
              value={String(variable.query ?? '')}
              onChange={({ value }) => set({ query: value })}
            />
          </Field>
          <RegexField variable={variable} set={set} about="Only sources whose name matches" />
        </>
      );
    case 'interval':
      return <IntervalFields variable={variable} set={set} />;
    case 'constant':
      return (
        <TextField
          label="Value"
          about="Hidden from who looks at the dashboard"
          variable={variable}
          set={set}
        />
      );
    case 'textbox':
      return <TextField label="Value to begin with" variable={variable} set={set} />;
    default:
      return null;
  }
}

interface TextProps extends FormProps {
  label: string;
  about?: string;
  isLong?: boolean;
}

function TextField({ label, about, variable, set, isLong }: TextProps) {
  const value = String(variable.query ?? '');
  // What was chosen before may not be among the values any more.
  const change = (query: string) =>
    set({ query, current: variable.type === 'custom' ? {} : { text: query, value: query } });
  return (
    <Field label={label} description={about} noMargin>
      {isLong ? (
        <TextArea
          id="variable-query"
          cols={62}
          rows={3}
          placeholder="1, 10, Twenty : 20"
          value={value}
          onChange={({ currentTarget }) => change(currentTarget.value)}
        />
      ) : (
        <Input
          id="variable-query"
          width={62}
          value={value}
          onChange={({ currentTarget }) => change(currentTarget.value)}
        />
      )}
    </Field>
  );
}

function RegexField({ variable, set, about }: FormProps & { about: string }) {
  return (
    <Field label="Regular expression" description={about} noMargin>
      <Input
        id="variable-regex"
        width={62}
        placeholder="/.*-(?<text>.*)-(?<value>.*)-.*/"
        value={variable.regex ?? ''}
        onChange={({ currentTarget }) => set({ regex: currentTarget.value })}
      />
    </Field>
  );
}

function QueryFields({ variable, set }: FormProps) {
  const { query, refresh = 1, sort = 0 } = variable;
  const change = (text: string) =>
    // Where a dashboard keeps more about the query than its text, that stays.
    set({
      query: isObject(query) ? { ...query, query: text, qryType: 5 } : text,
      definition: text,
      current: {},
    });
  return (
    <>
      <Field
        label="Query"
        description="label_values(up, job), label_names(), metrics(node_.*), query_result(up), or a selector"
        noMargin
      >
        <TextArea
          id="variable-query"
          cols={62}
          rows={2}
          placeholder="label_values(up, job)"
          value={variableText(query)}
          onChange={({ currentTarget }) => change(currentTarget.value)}
        />
      </Field>
      <RegexField
        variable={variable}
        set={set}
        about="Takes part of each value: the first group, or the groups named text and value"
      />
      <Field label="Sorted" noMargin>
        <Combobox
          aria-label="Sorted"
          width={40}
          options={SORTS}
          value={sort}
          onChange={({ value }) => set({ sort: value })}
        />
      </Field>
      <Field label="Asked for" noMargin>
        <RadioButtonGroup
          options={REFRESH}
          value={refresh === 2 ? 2 : 1}
          onChange={(value) => set({ refresh: value })}
        />
      </Field>
    </>
  );
}

function IntervalFields({ variable, set }: FormProps) {
  const { auto = false, auto_count: count = 30, auto_min: least = '10s' } = variable;
  return (
    <>
      <TextField label="Intervals" about="Between commas" variable={variable} set={set} />
      <Field label="An automatic choice" description="The time range by a number of steps" noMargin>
        <Switch
          id="variable-auto"
          value={auto}
          onChange={({ currentTarget }) => set({ auto: currentTarget.checked })}
        />
      </Field>
      {auto && (
        <Stack>
          <Field label="Steps" noMargin>
            <Input
              id="variable-steps"
              type="number"
              width={12}
              value={count}
              onChange={({ currentTarget }) => set({ auto_count: Number(currentTarget.value) || 30 })}
            />
          </Field>
          <Field label="Shortest" noMargin>
            <Input
              id="variable-least"
              width={12}
              value={least}
              onChange={({ currentTarget }) => set({ auto_min: currentTarget.value })}
            />
          </Field>
        </Stack>
      )}
    </>
  );
}
