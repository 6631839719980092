import { css } from '@emotion/css';
import {
  getFieldDisplayName,
  transformDataFrame,
  type DataFrame,
  type DataTransformerConfig,
  type GrafanaTheme2,
} from '@grafana/data';
import { SceneDataTransformer } from '@grafana/scenes';
import {
  Button,
  Combobox,
  IconButton,
  InlineField,
  InlineSwitch,
  Input,
  StatsPicker,
  useStyles2,
} from '@grafana/ui';
import { useEffect, useMemo, useState } from 'react';
import { getIn, isObject, setIn } from '../json';
import { FieldPicker } from '../options/FieldPicker';
import { OptionField } from '../options/OptionField';
import type { PanelPreview } from './preview';
import { TRANSFORMATION_OPTIONS } from './transformations';

type Loose = Record<string, unknown>;

interface Props {
  preview: PanelPreview;
  at: number;
  transformation: DataTransformerConfig;
  onChange: (transformation: DataTransformerConfig) => void;
}

interface OwnProps {
  options: Loose;
  fields: string[];
  set: (options: Loose) => void;
}

/** The options of one transformation. */
export function TransformationFields({ preview, at, transformation, onChange }: Props) {
  const styles = useStyles2(getStyles);
  const { id } = transformation;
  const options = (transformation.options ?? {}) as Loose;
  const fields = useInput(preview, at);
  const set = (next: Loose) => onChange({ ...transformation, options: next });
  const Own = OWN[id];
  if (Own) return <Own options={options} fields={fields} set={set} />;
  const known = TRANSFORMATION_OPTIONS[id];
  if (!known) {
    const whole = { path: '', name: 'Options', category: '', kind: 'json' as const, about: 'As JSON' };
    return (
      <OptionField
        option={whole}
        value={options}
        onChange={(value) => set(isObject(value) ? value : {})}
        fields={fields}
      />
    );
  }
  if (!known.length) return <p className={styles.none}>There is nothing to choose.</p>;
  return (
    <div className={styles.grid}>
      {known
        .filter(({ shown }) => shown?.(options) ?? true)
        .map((option) => (
          <OptionField
            key={option.path}
            option={option}
            value={getIn(options, option.path)}
            onChange={(value) => set(completed(id, option.path, setIn(options, option.path, value)))}
            fields={fields}
          />
        ))}
    </div>
  );
}

/** A field of a calculation is named by what it is matched by. */
function completed(id: string, path: string, options: Loose): Loose {
  const side = /^(binary\.(?:left|right))\.matcher\.options$/.exec(path)?.[1];
  if (id !== 'calculateField' || !side) return options;
  return setIn(options, `${side}.matcher.id`, 'byName');
}

/** The names of the fields that come into a transformation: those the ones before it make. */
function useInput(preview: PanelPreview, at: number): string[] {
  const { panel, json } = preview.useState();
  const data = panel.state.$data;
  const raw = data instanceof SceneDataTransformer ? data.state.$data?.state.data?.series : undefined;
  const [frames, setFrames] = useState<DataFrame[]>(raw ?? []);
  const before = JSON.stringify(
    (json.transformations ?? []).slice(0, at).filter(({ disabled }) => !disabled),
  );
  useEffect(() => {
    const running = transformDataFrame(JSON.parse(before) as DataTransformerConfig[], raw ?? []).subscribe({
      next: setFrames,
      error: () => setFrames([]),
    });
    return () => running.unsubscribe();
  }, [raw, before]);
  return useMemo(
    () => [
      ...new Set(
        frames.flatMap((frame) => frame.fields.map((field) => getFieldDisplayName(field, frame, frames))),
      ),
    ],
    [frames],
  );
}

/** Those whose options are lists of fields. */
const OWN: Record<string, (props: OwnProps) => React.ReactElement> = {
  organize: Organize,
  filterFieldsByName: FilterByName,
  groupBy: GroupBy,
  sortBy: SortBy,
  convertFieldType: Convert,
  filterByValue: FilterByValue,
};

function Organize({ options, fields, set }: OwnProps) {
  const styles = useStyles2(getStyles);
  const excluded = (options.excludeByName ?? {}) as Record<string, boolean>;
  const renamed = (options.renameByName ?? {}) as Record<string, string>;
  const index = (options.indexByName ?? {}) as Record<string, number>;
  const ordered = [...fields].sort(
    (a, b) => (index[a] ?? fields.indexOf(a)) - (index[b] ?? fields.indexOf(b)),
  );
  const move = (from: number, by: number) => {
    const next = ordered.filter((_, at) => at !== from);
    next.splice(from + by, 0, ordered[from] ?? '');
    set({ ...options, indexByName: Object.fromEntries(next.map((name, at) => [name, at])) });
  };
  const keyed = (key: string, map: Loose, name: string, value: unknown) => {
    const { [name]: _before, ...rest } = map;
    set({ ...options, [key]: value ? { ...rest, [name]: value } : rest });
  };
  if (!fields.length) return <p className={styles.none}>There are no fields yet.</p>;
  return (
    <ul className={styles.fields}>
      {ordered.map((name, at) => (
        <li key={name}>
          <IconButton
            name="arrow-up"
            aria-label={`Move ${name} up`}
            disabled={at === 0}
            onClick={() => move(at, -1)}
          />
          <IconButton
            name="arrow-down"
            aria-label={`Move ${name} down`}
            disabled={at === ordered.length - 1}
            onClick={() => move(at, 1)}
          />
          <IconButton
            name={excluded[name] ? 'eye-slash' : 'eye'}
            aria-label={`${excluded[name] ? 'Show' : 'Hide'} ${name}`}
            onClick={() => keyed('excludeByName', excluded, name, !excluded[name])}
          />
          <span className={styles.field}>{name}</span>
          <Input
            aria-label={`Name for ${name}`}
            placeholder="Another name"
            defaultValue={renamed[name] ?? ''}
            onBlur={({ currentTarget }) => keyed('renameByName', renamed, name, currentTarget.value)}
          />
        </li>
      ))}
    </ul>
  );
}

function FilterByName({ options, fields, set }: OwnProps) {
  const styles = useStyles2(getStyles);
  const include = (options.include ?? {}) as { names?: string[]; pattern?: string };
  const chosen = include.names ?? fields;
  const toggle = (name: string, isChosen: boolean) => {
    const names = isChosen ? [...chosen, name] : chosen.filter((each) => each !== name);
    set({ ...options, include: { ...include, names } });
  };
  return (
    <>
      <InlineField label="Matching regex">
        <Input
          aria-label="Matching regex"
          width={30}
          defaultValue={include.pattern ?? ''}
          onBlur={({ currentTarget }) =>
            set({
              ...options,
              include: currentTarget.value
                ? { ...include, pattern: currentTarget.value }
                : { names: include.names },
            })
          }
        />
      </InlineField>
      <ul className={styles.fields}>
        {[...new Set([...fields, ...chosen])].map((name) => (
          <li key={name}>
            <InlineSwitch
              showLabel
              label={name}
              aria-label={name}
              value={chosen.includes(name)}
              onChange={({ currentTarget }) => toggle(name, currentTarget.checked)}
            />
          </li>
        ))}
      </ul>
    </>
  );
}

const GROUPED = [
  { label: 'Ignored', value: '' },
  { label: 'Group by', value: 'groupby' },
  { label: 'Calculate', value: 'aggregate' },
];

interface Grouped {
  operation?: string | null;
  aggregations?: string[];
}

function GroupBy({ options, fields, set }: OwnProps) {
  const styles = useStyles2(getStyles);
  const chosen = (options.fields ?? {}) as Record<string, Grouped>;
  const change = (name: string, part: Grouped) =>
    set({ ...options, fields: { ...chosen, [name]: { aggregations: [], ...chosen[name], ...part } } });
  return (
    <ul className={styles.fields}>
      {[...new Set([...fields, ...Object.keys(chosen)])].map((name) => (
        <li key={name}>
          <span className={styles.field}>{name}</span>
          <Combobox
            aria-label={`Use of ${name}`}
            width={20}
            options={GROUPED}
            value={chosen[name]?.operation ?? ''}
            onChange={({ value }) => change(name, { operation: value || null })}
          />
          {chosen[name]?.operation === 'aggregate' && (
            <StatsPicker
              allowMultiple
              aria-label={`Calculations of ${name}`}
              stats={chosen[name]?.aggregations ?? []}
              onChange={(stats) => change(name, { aggregations: stats })}
            />
          )}
        </li>
      ))}
    </ul>
  );
}

function SortBy({ options, fields, set }: OwnProps) {
  const [sort] = (options.sort ?? []) as { field?: string; desc?: boolean }[];
  const change = (part: Loose) => set({ ...options, sort: [{ ...sort, ...part }] });
  return (
    <>
      <InlineField label="Field" labelWidth={10}>
        <FieldPicker
          id=""
          name="Field"
          value={sort?.field}
          fields={fields}
          onChange={(field) => change({ field })}
        />
      </InlineField>
      <InlineSwitch
        showLabel
        label="Reverse"
        value={Boolean(sort?.desc)}
        onChange={({ currentTarget }) => change({ desc: currentTarget.checked })}
      />
    </>
  );
}

const FIELD_TYPES = ['number', 'string', 'time', 'boolean', 'enum', 'other'].map((value) => ({
  label: value,
  value,
}));

function Convert({ options, fields, set }: OwnProps) {
  const styles = useStyles2(getStyles);
  const list = (options.conversions ?? []) as {
    targetField?: string;
    destinationType?: string;
    dateFormat?: string;
  }[];
  const change = (next: typeof list) => set({ ...options, conversions: next });
  const part = (at: number, value: Loose) =>
    change(list.map((each, index) => (index === at ? { ...each, ...value } : each)));
  return (
    <ul className={styles.fields}>
      {list.map((conversion, at) => (
        <li key={at}>
          <FieldPicker
            id=""
            name="Field"
            value={conversion.targetField}
            fields={fields}
            onChange={(targetField) => part(at, { targetField })}
          />
          <Combobox
            aria-label="As"
            width={16}
            options={FIELD_TYPES}
            value={conversion.destinationType ?? null}
            onChange={({ value }) => part(at, { destinationType: value })}
          />
          {conversion.destinationType === 'time' && (
            <Input
              aria-label="Format of the time"
              placeholder="YYYY-MM-DD"
              width={20}
              defaultValue={conversion.dateFormat ?? ''}
              onBlur={({ currentTarget }) => part(at, { dateFormat: currentTarget.value || undefined })}
            />
          )}
          <IconButton
            name="trash-alt"
            aria-label="Remove conversion"
            onClick={() => change(list.filter((_, index) => index !== at))}
          />
        </li>
      ))}
      <Button size="sm" variant="secondary" icon="plus" onClick={() => change([...list, {}])}>
        Convert a field
      </Button>
    </ul>
  );
}

interface Condition {
  fieldName?: string;
  config?: { id: string; options: Loose };
}

const CONDITIONS = [
  { value: 'isNull', label: 'is null' },
  { value: 'isNotNull', label: 'is not null' },
  { value: 'equal', label: 'is equal to' },
  { value: 'notEqual', label: 'is not equal to' },
  { value: 'greater', label: 'is greater than' },
  { value: 'greaterOrEqual', label: 'is greater than or equal to' },
  { value: 'lower', label: 'is lower than' },
  { value: 'lowerOrEqual', label: 'is lower than or equal to' },
  { value: 'substring', label: 'holds' },
  { value: 'notSubstring', label: 'does not hold' },
  { value: 'regex', label: 'matches regex' },
];

function FilterByValue({ options, fields, set }: OwnProps) {
  const styles = useStyles2(getStyles);
  const list = (options.filters ?? []) as Condition[];
  const change = (next: Condition[]) => set({ ...options, filters: next });
  const part = (at: number, value: Condition) =>
    change(list.map((each, index) => (index === at ? { ...each, ...value } : each)));
  const pick = (path: string, label: string, choices: { label: string; value: string }[]) => (
    <InlineField label={label}>
      <Combobox
        aria-label={label}
        width={20}
        options={choices}
        value={String(options[path] ?? choices[0]?.value)}
        onChange={({ value }) => set({ ...options, [path]: value })}
      />
    </InlineField>
  );
  return (
    <ul className={styles.fields}>
      <li>
        {pick('type', 'Rows are', [
          { label: 'kept', value: 'include' },
          { label: 'left out', value: 'exclude' },
        ])}
        {pick('match', 'that fit', [
          { label: 'any condition', value: 'any' },
          { label: 'all conditions', value: 'all' },
        ])}
      </li>
      {list.map(({ fieldName, config }, at) => (
        <li key={at}>
          <FieldPicker
            id=""
            name="Field"
            value={fieldName}
            fields={fields}
            onChange={(next) => part(at, { fieldName: String(next ?? '') })}
          />
          <Combobox
            aria-label="Condition"
            width={24}
            options={CONDITIONS}
            value={config?.id ?? null}
            onChange={({ value }) =>
              part(at, { config: { id: value, options: config?.options ?? { value: '' } } })
            }
          />
          {config && !/null/i.test(config.id) && (
            <Input
              aria-label="Value"
              width={20}
              defaultValue={String(config.options.value ?? '')}
              onBlur={({ currentTarget }) =>
                part(at, {
                  config: { ...config, options: { ...config.options, value: typed(currentTarget.value) } },
                })
              }
            />
          )}
          <IconButton
            name="trash-alt"
            aria-label="Remove condition"
            onClick={() => change(list.filter((_, index) => index !== at))}
          />
        </li>
      ))}
      <Button
        size="sm"
        variant="secondary"
        icon="plus"
        onClick={() =>
          change([...list, { fieldName: fields[0] ?? '', config: { id: 'greater', options: { value: 0 } } }])
        }
      >
        Add condition
      </Button>
    </ul>
  );
}

/** What is a number is one. */
const typed = (text: string) => (text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text);

const getStyles = (theme: GrafanaTheme2) => ({
  grid: css({
    display: 'grid',
    gap: theme.spacing(1.5),
    gridTemplateColumns: 'repeat(auto-fill, minmax(240px, 1fr))',
  }),
  none: css({ color: theme.colors.text.secondary, margin: 0 }),
  fields: css({
    display: 'flex',
    flexDirection: 'column',
    gap: theme.spacing(0.5),
    listStyle: 'none',
    margin: 0,
    padding: 0,
    '& li': { alignItems: 'center', display: 'flex', gap: theme.spacing(1) },
  }),
  field: css({ flex: '0 0 220px', overflow: 'hidden', textOverflow: 'ellipsis', whiteSpace: 'nowrap' }),
});
