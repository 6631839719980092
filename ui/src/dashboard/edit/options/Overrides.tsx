import { css } from '@emotion/css';
import type { ConfigOverrideRule, GrafanaTheme2, PanelPlugin } from '@grafana/data';
import { Combobox, Field, IconButton, Input, useStyles2 } from '@grafana/ui';
import type { PanelJson } from '../../model';
import { moved, removedAt, replacedAt } from '../json';
import type { PanelPreview } from '../panel/preview';
import { useData, useFieldNames } from '../panel/useData';
import { cards } from './cards';
import { BY_VALUE, ByValue } from './ByValue';
import { fieldDefault, fieldOptions } from './catalog';
import { FieldPicker } from './FieldPicker';
import { OptionField } from './OptionField';

const MATCHERS = [
  { value: 'byName', label: 'Fields with name' },
  { value: 'byRegexp', label: 'Fields with name matching regex' },
  { value: 'byType', label: 'Fields with type' },
  { value: 'byFrameRefID', label: 'Fields returned by query' },
  { value: 'byNames', label: 'Fields with one of several names' },
  { value: 'numeric', label: 'All numbers' },
  { value: 'byValue', label: 'Fields with values' },
];

/** What a matcher asks for before it is told; most ask for a name. */
const NEW_OPTIONS: Record<string, unknown> = {
  numeric: {},
  byNames: { mode: 'include', names: [] },
  byValue: BY_VALUE,
};

const TYPES = ['number', 'string', 'time', 'boolean', 'other', 'enum', 'frame'].map((value) => ({
  label: value,
  value,
}));

interface Props {
  preview: PanelPreview;
  plugin: PanelPlugin;
}

/** Options of some fields only. Later ones go before earlier ones. */
export function Overrides({ preview, plugin }: Props) {
  const styles = useStyles2(getStyles);
  const { json } = preview.useState();
  const config = json.fieldConfig ?? { defaults: {}, overrides: [] };
  const { overrides } = config;
  const set = (next: ConfigOverrideRule[]) =>
    preview.change({ fieldConfig: { ...config, overrides: next } as NonNullable<PanelJson['fieldConfig']> });
  return (
    <div className={styles.list}>
      {overrides.map((rule, at) => (
        <Rule
          key={at}
          preview={preview}
          plugin={plugin}
          rule={rule}
          at={at}
          isLast={at === overrides.length - 1}
          onChange={(next) => set(replacedAt(overrides, at, next))}
          onMove={(to) => set(moved(overrides, at, to))}
          onRemove={() => set(removedAt(overrides, at))}
        />
      ))}
      <Combobox
        aria-label="Add field override"
        placeholder="Add field override"
        prefixIcon="plus"
        options={MATCHERS}
        value={null}
        onChange={({ value: id }) =>
          set([
            ...overrides,
            {
              matcher: { id, options: structuredClone(NEW_OPTIONS[id] ?? '') },
              properties: [],
            },
          ])
        }
      />
    </div>
  );
}

interface RuleProps extends Props {
  rule: ConfigOverrideRule;
  at: number;
  isLast: boolean;
  onChange: (rule: ConfigOverrideRule) => void;
  onMove: (to: number) => void;
  onRemove: () => void;
}

function Rule({ preview, plugin, rule, at, isLast, onChange, onMove, onRemove }: RuleProps) {
  const styles = useStyles2(getStyles);
  const fields = useFieldNames(preview);
  const { matcher, properties } = rule;
  const all = fieldOptions(plugin);
  const label = MATCHERS.find(({ value }) => value === matcher.id)?.label ?? matcher.id;
  const free = all.filter(({ path }) => !properties.some(({ id }) => id === path));
  const add = (path: string) =>
    onChange({ ...rule, properties: [...properties, { id: path, value: fieldDefault(plugin, path) }] });
  return (
    <section className={styles.rule} aria-label={`Override ${at + 1}`}>
      <header className={styles.header}>
        <strong>Override {at + 1}</strong>
        <IconButton
          name="arrow-up"
          aria-label={`Move override ${at + 1} up`}
          disabled={at === 0}
          onClick={() => onMove(at - 1)}
        />
        <IconButton
          name="arrow-down"
          aria-label={`Move override ${at + 1} down`}
          disabled={isLast}
          onClick={() => onMove(at + 1)}
        />
        <IconButton name="trash-alt" aria-label={`Remove override ${at + 1}`} onClick={onRemove} />
      </header>
      <Field label={label} noMargin>
        <Matcher
          preview={preview}
          rule={rule}
          fields={fields}
          onChange={(options) => onChange({ ...rule, matcher: { ...matcher, options } })}
        />
      </Field>
      {properties.map(({ id, value }, index) => {
        const option = all.find(({ path }) => path === id) ?? {
          path: id,
          name: id,
          category: '',
          kind: 'json' as const,
        };
        return (
          <div key={id} className={styles.property}>
            <div className={styles.editor}>
              <OptionField
                option={{
                  ...option,
                  name: option.category ? `${option.category} › ${option.name}` : option.name,
                }}
                value={value}
                fields={fields}
                onChange={(next) =>
                  onChange({ ...rule, properties: replacedAt(properties, index, { id, value: next }) })
                }
              />
            </div>
            <IconButton
              name="times"
              aria-label={`Remove ${option.name}`}
              onClick={() => onChange({ ...rule, properties: removedAt(properties, index) })}
            />
          </div>
        );
      })}
      <Combobox
        aria-label={`Add property to override ${at + 1}`}
        placeholder="Add override property"
        prefixIcon="plus"
        options={free.map(({ path, name, category }) => ({ value: path, label: `${category} › ${name}` }))}
        value={null}
        onChange={({ value }) => add(value)}
      />
    </section>
  );
}

interface MatcherProps {
  preview: PanelPreview;
  rule: ConfigOverrideRule;
  fields: string[];
  onChange: (options: unknown) => void;
}

function Matcher({ preview, rule: { matcher }, fields, onChange }: MatcherProps) {
  const refIds = [...new Set((useData(preview)?.series ?? []).map(({ refId }) => refId ?? ''))].filter(
    Boolean,
  );
  const options: unknown = matcher.options;
  switch (matcher.id) {
    case 'byName':
      return (
        <FieldPicker
          id=""
          name="Field"
          value={options}
          fields={fields}
          onChange={(next) => onChange(next ?? '')}
        />
      );
    case 'byRegexp':
      return (
        <Input
          aria-label="Regular expression"
          placeholder="/.*/"
          defaultValue={String(options ?? '')}
          onBlur={({ currentTarget }) => onChange(currentTarget.value)}
        />
      );
    case 'byType':
      return (
        <Combobox
          aria-label="Type of field"
          options={TYPES}
          value={String(options ?? '') || null}
          onChange={({ value }) => onChange(value)}
        />
      );
    case 'byFrameRefID':
      return (
        <Combobox
          aria-label="Query"
          createCustomValue
          options={refIds.map((value) => ({ label: value, value }))}
          value={String(options ?? '') || null}
          onChange={({ value }) => onChange(value)}
        />
      );
    case 'byNames': {
      const { names = [], mode = 'include' } = (options ?? {}) as { names?: string[]; mode?: string };
      return (
        <Input
          aria-label="Names between commas"
          defaultValue={names.join(', ')}
          onBlur={({ currentTarget }) =>
            onChange({
              mode,
              names: currentTarget.value
                .split(',')
                .map((name) => name.trim())
                .filter(Boolean),
            })
          }
        />
      );
    }
    case 'byValue':
      return <ByValue options={options} onChange={onChange} />;
    case 'numeric':
      return <span>All fields that are numbers</span>;
    default:
      return <code>{JSON.stringify(options)}</code>;
  }
}

const getStyles = (theme: GrafanaTheme2) => ({
  list: css({ display: 'flex', flexDirection: 'column', gap: theme.spacing(1), padding: theme.spacing(1) }),
  ...cards(theme),
  property: css({ alignItems: 'flex-start', display: 'flex', gap: theme.spacing(1) }),
  editor: css({ flex: '1 1 auto', minWidth: 0 }),
});
