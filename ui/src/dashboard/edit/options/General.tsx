import { Combobox, Field, Input, RadioButtonGroup, Switch, TextArea } from '@grafana/ui';
import type { DashboardScene } from '../../DashboardScene';
import { repeatable } from '../Overlays';
import type { PanelPreview } from '../panel/preview';
import { LinkList } from './LinkList';

const DIRECTIONS = [
  { label: 'Beside each other', value: 'h' as const },
  { label: 'Below each other', value: 'v' as const },
];

const PER_ROW = [2, 3, 4, 6, 8, 12].map((value) => ({ label: String(value), value }));

/** What every panel has. */
export function General({ scene, preview }: { scene: DashboardScene; preview: PanelPreview }) {
  const { json } = preview.useState();
  const {
    title = '',
    description = '',
    transparent = false,
    links = [],
    repeat,
    repeatDirection = 'h',
    maxPerRow = 4,
  } = json;
  return (
    <>
      <Field label="Title" noMargin>
        <Input
          id="panel-title"
          value={title}
          onChange={({ currentTarget }) => preview.change({ title: currentTarget.value })}
        />
      </Field>
      <Field label="Description" noMargin>
        <TextArea
          id="panel-description"
          rows={2}
          value={description}
          onChange={({ currentTarget }) => preview.change({ description: currentTarget.value })}
        />
      </Field>
      <Field label="Transparent background" noMargin>
        <Switch
          id="panel-transparent"
          value={transparent}
          onChange={({ currentTarget }) => preview.change({ transparent: currentTarget.checked })}
        />
      </Field>
      <Field label="Links" noMargin>
        <LinkList value={links} onChange={(next) => preview.change({ links: next as never })} />
      </Field>
      <Field label="Repeat for" description="A copy of the panel for each value of a variable" noMargin>
        <Combobox
          aria-label="Repeat for"
          options={repeatable(scene)}
          value={repeat ?? ''}
          onChange={({ value }) => preview.change({ repeat: value || (undefined as never) })}
        />
      </Field>
      {repeat && (
        <Field label="Copies" noMargin>
          <RadioButtonGroup
            options={DIRECTIONS}
            value={repeatDirection}
            onChange={(value) => preview.change({ repeatDirection: value })}
          />
        </Field>
      )}
      {repeat && repeatDirection === 'h' && (
        <Field label="Most in a row" noMargin>
          <Combobox
            aria-label="Most in a row"
            options={PER_ROW}
            value={maxPerRow}
            onChange={({ value }) => preview.change({ maxPerRow: value })}
          />
        </Field>
      )}
    </>
  );
}
