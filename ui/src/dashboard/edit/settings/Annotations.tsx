import {
  Badge,
  Box,
  Button,
  Checkbox,
  ColorPickerInput,
  Combobox,
  Field,
  Input,
  MultiCombobox,
  Stack,
  TextArea,
} from '@grafana/ui';
import { useState } from 'react';
import { allPanels, type DashboardJson } from '../../model';
import { DataSourceSelect } from '../DataSourceSelect';
import { moved, removedAt, replacedAt } from '../json';
import type { PartProps } from './SettingsPage';
import { ThingList } from './ThingList';

type Annotation = DashboardJson['annotations']['list'][number] & Record<string, unknown>;

const NEW = {
  name: 'New annotation',
  enable: true,
  hide: false,
  iconColor: 'red',
  expr: '',
} as unknown as Annotation;

/** Events that are marked in graphs. */
export function Annotations({ scene, dashboard, onChange }: PartProps) {
  const [open, setOpen] = useState<number>();
  const list = dashboard.annotations.list as Annotation[];
  const set = (next: Annotation[]) =>
    onChange({ ...dashboard, annotations: { ...dashboard.annotations, list: next } });
  const current = open === undefined ? undefined : list[open];
  if (current && open !== undefined) {
    const change = (part: Partial<Annotation>) =>
      set(replacedAt(list, open, { ...current, ...part } as Annotation));
    return (
      <Box maxWidth={80}>
        <Stack direction="column" gap={2}>
          <Form annotation={current} set={change} />
          <Field label="Data source" noMargin>
            <DataSourceSelect
              scene={scene}
              value={current.datasource}
              onChange={(datasource) => change({ datasource } as Partial<Annotation>)}
            />
          </Field>
          <QueryFields annotation={current} set={change} />
          <Panels annotation={current} set={change} dashboard={dashboard} />
          <div>
            <Button onClick={() => setOpen(undefined)}>Back to list</Button>
          </div>
        </Stack>
      </Box>
    );
  }
  return (
    <ThingList
      what="annotation"
      about="Annotations mark times in graphs: when something was deployed, or when a query says that something was wrong."
      things={list.map((annotation) => ({
        name: annotation.name,
        detail: annotation.builtIn ? 'Built in' : exprOf(annotation),
        badge: annotation.enable === false ? <Badge text="off" color="orange" /> : undefined,
      }))}
      onAdd={() => {
        set([...list, NEW]);
        setOpen(list.length);
      }}
      onOpen={setOpen}
      onMove={(from, to) => set(moved(list, from, to))}
      onDuplicate={(at) => set([...list, { ...(list[at] ?? NEW), name: `${list[at]?.name} copy` }])}
      onRemove={(at) => set(removedAt(list, at))}
    />
  );
}

const exprOf = ({ expr, target }: Annotation): string =>
  String((target as { expr?: string } | undefined)?.expr ?? expr ?? '');

interface FormProps {
  annotation: Annotation;
  set: (change: Partial<Annotation>) => void;
}

function Form({ annotation, set }: FormProps) {
  const { name, enable, hide, iconColor } = annotation;
  return (
    <>
      <Field label="Name" noMargin invalid={!name} error="Annotations need a name">
        <Input
          id="annotation-name"
          width={40}
          value={name}
          onChange={({ currentTarget }) => set({ name: currentTarget.value })}
        />
      </Field>
      <div>
        <Checkbox
          label="Shown"
          value={enable ?? true}
          onChange={({ currentTarget }) => set({ enable: currentTarget.checked })}
        />
      </div>
      <div>
        <Checkbox
          label="Without a switch above the panels"
          value={hide ?? false}
          onChange={({ currentTarget }) => set({ hide: currentTarget.checked })}
        />
      </div>
      <Field label="Colour" noMargin>
        <ColorPickerInput
          id="annotation-color"
          value={iconColor}
          onChange={(color) => set({ iconColor: color })}
          width={20}
        />
      </Field>
    </>
  );
}

function QueryFields({ annotation, set }: FormProps) {
  const text = (key: string) => String(annotation[key] ?? '');
  const field = (key: string, label: string, placeholder: string) => (
    <Field label={label} noMargin>
      <Input
        id={`annotation-${key}`}
        width={40}
        placeholder={placeholder}
        value={text(key)}
        onChange={({ currentTarget }) => set({ [key]: currentTarget.value || undefined })}
      />
    </Field>
  );
  // Newer dashboards keep the query in an object of its own.
  const change = (expr: string) =>
    set(annotation.target ? { target: { ...annotation.target, expr } as never } : { expr });
  return (
    <>
      <Field
        label="Query"
        description="Times at which it is not 0 are marked; lines of logs are marked where they are"
        noMargin
      >
        <TextArea
          id="annotation-expr"
          cols={70}
          rows={2}
          value={exprOf(annotation)}
          onChange={({ currentTarget }) => change(currentTarget.value)}
        />
      </Field>
      {field('step', 'Step', '60s')}
      {field('titleFormat', 'Title', '{{alertname}}')}
      {field('textFormat', 'Text', '{{instance}}')}
      {field('tagKeys', 'Labels as tags', 'job,instance')}
    </>
  );
}

const PLACES = [
  { label: 'All panels', value: 'all' },
  { label: 'Some panels', value: 'only' },
  { label: 'All panels except', value: 'except' },
];

function Panels({ annotation, set, dashboard }: FormProps & { dashboard: DashboardJson }) {
  const filter = annotation.filter as { exclude?: boolean; ids?: number[] } | undefined;
  const place = !filter ? 'all' : filter.exclude ? 'except' : 'only';
  const panels = [...allPanels(dashboard.panels)]
    .filter(({ type }) => type !== 'row')
    .map(({ id = 0, title }) => ({ value: id, label: title || `Panel ${id}` }));
  const change = (value: string) =>
    set({ filter: value === 'all' ? undefined : { exclude: value === 'except', ids: filter?.ids ?? [] } });
  return (
    <>
      <Field label="Shown in" noMargin>
        <Combobox
          aria-label="Shown in"
          width={30}
          options={PLACES}
          value={place}
          onChange={({ value }) => change(value)}
        />
      </Field>
      {filter && (
        <Field label="Panels" noMargin>
          <MultiCombobox
            aria-label="Panels"
            width={60}
            options={panels}
            value={filter.ids ?? []}
            onChange={(chosen) => set({ filter: { ...filter, ids: chosen.map(({ value }) => value) } })}
          />
        </Field>
      )}
    </>
  );
}
