import { css } from '@emotion/css';
import { getFieldDisplayName, getFrameDisplayName, type DataFrame, type GrafanaTheme2 } from '@grafana/data';
import { Button, Combobox, Field, IconButton, Input, useStyles2 } from '@grafana/ui';
import { isFrame, type Dimension, type SeriesRule } from '~/panels/xychart/mapping';
import { moved, removedAt, replacedAt } from '../json';
import { cards } from './cards';
import { FieldPicker } from './FieldPicker';

/** The dimensions of a series that a field is chosen for. */
type Dimensional = 'x' | 'y' | 'size' | 'color';

const DIMENSIONS: [name: Dimensional, label: string, about: string][] = [
  ['x', 'X field', 'The first number or time where nothing is chosen'],
  ['y', 'Y field', 'All other numbers where nothing is chosen'],
  ['size', 'Size of points', 'As the panel says where nothing is chosen'],
  ['color', 'Colour of points', 'That of the series where nothing is chosen'],
];

/** The name of the field that a dimension asks for; nothing where it asks for fields in another way. */
export const fieldOf = (dimension: Dimension | undefined): string | undefined =>
  dimension?.matcher?.id === 'byName' ? String(dimension.matcher.options) : undefined;

/** What asks for fields in a way that has no form, as it is written. */
export const otherOf = (dimension: Dimension | undefined): string | undefined => {
  const { matcher } = dimension ?? {};
  return matcher && matcher.id !== 'byName' ? `${matcher.id}: ${JSON.stringify(matcher.options)}` : undefined;
};

/** The rule with another field for a dimension; without one, what is there where nothing is chosen. */
export function withField(rule: SeriesRule, dimension: Dimensional, name: string | undefined): SeriesRule {
  const { [dimension]: _before, ...rest } = rule;
  return name ? { ...rest, [dimension]: { matcher: { id: 'byName', options: name } } } : rest;
}

/** The rule for one frame, by its place, or for each. */
export function withFrame(rule: SeriesRule, index: number | undefined): SeriesRule {
  const { frame: _before, ...rest } = rule;
  return index === undefined ? rest : { ...rest, frame: { matcher: { id: 'byIndex', options: index } } };
}

export function withName(rule: SeriesRule, fixed: string): SeriesRule {
  const { name: _before, ...rest } = rule;
  return fixed ? { ...rest, name: { fixed } } : rest;
}

/** The names of the fields of the frames that a rule is for. */
export function fieldsOf({ frame }: SeriesRule, frames: DataFrame[]): string[] {
  const meant = frames.filter((each, index) => isFrame(frame?.matcher, each, index));
  return [
    ...new Set(meant.flatMap((each) => each.fields.map((field) => getFieldDisplayName(field, each, frames)))),
  ];
}

interface Props {
  value: unknown;
  onChange: (value: unknown) => void;
  frames: DataFrame[];
}

/** The series of an XY chart, each with the fields that it is drawn from. */
export function XySeries({ value, onChange, frames }: Props) {
  const styles = useStyles2(getStyles);
  const rules = (value as SeriesRule[] | undefined) ?? [];
  return (
    <div className={styles.list}>
      {rules.map((rule, at) => (
        <section key={at} className={styles.rule} aria-label={`Series ${at + 1}`}>
          <header className={styles.header}>
            <strong>{rule.name?.fixed || `Series ${at + 1}`}</strong>
            <IconButton
              name="arrow-up"
              aria-label={`Move series ${at + 1} up`}
              disabled={at === 0}
              onClick={() => onChange(moved(rules, at, at - 1))}
            />
            <IconButton
              name="arrow-down"
              aria-label={`Move series ${at + 1} down`}
              disabled={at === rules.length - 1}
              onClick={() => onChange(moved(rules, at, at + 1))}
            />
            <IconButton
              name="trash-alt"
              aria-label={`Remove series ${at + 1}`}
              onClick={() => onChange(removedAt(rules, at))}
            />
          </header>
          <Rule rule={rule} frames={frames} onChange={(next) => onChange(replacedAt(rules, at, next))} />
        </section>
      ))}
      <div>
        <Button size="sm" variant="secondary" icon="plus" onClick={() => onChange([...rules, {}])}>
          Add series
        </Button>
      </div>
    </div>
  );
}

interface RuleProps {
  rule: SeriesRule;
  frames: DataFrame[];
  onChange: (rule: SeriesRule) => void;
}

function Rule({ rule, frames, onChange }: RuleProps) {
  const fields = fieldsOf(rule, frames);
  return (
    <>
      <Field label="Frame" noMargin>
        <FramePicker rule={rule} frames={frames} onChange={(index) => onChange(withFrame(rule, index))} />
      </Field>
      {DIMENSIONS.map(([dimension, label, about]) => (
        <Field key={dimension} label={label} description={otherOf(rule[dimension]) ?? about} noMargin>
          <FieldPicker
            id=""
            name={label}
            value={fieldOf(rule[dimension])}
            fields={fields}
            onChange={(name) => onChange(withField(rule, dimension, name as string | undefined))}
          />
        </Field>
      ))}
      <Field label="Name" noMargin>
        <Input
          aria-label="Name of the series"
          placeholder="That of the Y field"
          value={rule.name?.fixed ?? ''}
          onChange={({ currentTarget }) => onChange(withName(rule, currentTarget.value))}
        />
      </Field>
    </>
  );
}

interface FramePickerProps {
  rule: SeriesRule;
  frames: DataFrame[];
  onChange: (index: number | undefined) => void;
}

function FramePicker({ rule, frames, onChange }: FramePickerProps) {
  const { matcher } = rule.frame ?? {};
  const chosen = matcher ? frames.findIndex((frame, index) => isFrame(matcher, frame, index)) : -1;
  const missing = matcher && chosen < 0 ? `${matcher.id}: ${JSON.stringify(matcher.options)}` : undefined;
  return (
    <Combobox
      aria-label="Frame"
      isClearable
      placeholder={missing ?? 'All frames'}
      options={frames.map((frame, index) => ({
        label: getFrameDisplayName(frame, index),
        value: String(index),
        ...(frame.refId ? { description: `Query ${frame.refId}` } : {}),
      }))}
      value={chosen < 0 ? null : String(chosen)}
      onChange={(next) => onChange(next ? Number(next.value) : undefined)}
    />
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  list: css({ display: 'flex', flexDirection: 'column', gap: theme.spacing(1) }),
  ...cards(theme),
});
