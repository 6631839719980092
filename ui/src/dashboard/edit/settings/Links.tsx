import { Button, Checkbox, Combobox, Field, Input, Stack, TagsInput } from '@grafana/ui';
import { useState } from 'react';
import type { LinkJson } from '../../model';
import { moved, removedAt, replacedAt } from '../json';
import { ThingList } from './ThingList';
import type { PartProps } from './SettingsPage';

const KINDS = [
  { label: 'Dashboards with tags', value: 'dashboards' as const },
  { label: 'An address', value: 'link' as const },
];

const NEW: LinkJson = {
  title: 'New link',
  type: 'link',
  url: '',
  icon: 'external link',
  tags: [],
  targetBlank: false,
  keepTime: false,
  includeVars: false,
  asDropdown: false,
  tooltip: '',
};

/** Links to dashboards and addresses, above the panels. */
export function Links({ dashboard, onChange }: PartProps) {
  const [open, setOpen] = useState<number>();
  const { links } = dashboard;
  const set = (next: LinkJson[]) => onChange({ ...dashboard, links: next });
  const current = open === undefined ? undefined : links[open];
  if (current && open !== undefined) {
    return (
      <LinkForm
        link={current}
        onChange={(next) => set(replacedAt(links, open, next))}
        onClose={() => setOpen(undefined)}
      />
    );
  }
  return (
    <ThingList
      what="link"
      about="Links to other dashboards, and to other pages, with the time range and the variables of this one."
      things={links.map(({ title, type, url, tags }) => ({
        name: title || 'without a title',
        detail: type === 'dashboards' ? `Dashboards with ${tags?.join(', ') || 'any tag'}` : (url ?? ''),
      }))}
      onAdd={() => {
        set([...links, NEW]);
        setOpen(links.length);
      }}
      onOpen={setOpen}
      onMove={(from, to) => set(moved(links, from, to))}
      onDuplicate={(at) => set([...links, { ...(links[at] ?? NEW) }])}
      onRemove={(at) => set(removedAt(links, at))}
    />
  );
}

interface FormProps {
  link: LinkJson;
  onChange: (link: LinkJson) => void;
  onClose: () => void;
}

function LinkForm({ link, onChange, onClose }: FormProps) {
  const set = (change: Partial<LinkJson>) => onChange({ ...link, ...change });
  const isTags = link.type === 'dashboards';
  return (
    <Stack direction="column" gap={2}>
      <Field label="Title" noMargin>
        <Input
          id="link-title"
          width={60}
          value={link.title}
          onChange={({ currentTarget }) => set({ title: currentTarget.value })}
        />
      </Field>
      <Field label="Leads to" noMargin>
        <Combobox
          aria-label="Leads to"
          width={40}
          options={KINDS}
          value={link.type ?? 'link'}
          onChange={({ value }) => set({ type: value })}
        />
      </Field>
      {isTags ? (
        <Field label="With tags" noMargin>
          <TagsInput id="link-tags" width={60} tags={link.tags ?? []} onChange={(tags) => set({ tags })} />
        </Field>
      ) : (
        <>
          <Field label="Address" description="May hold variables" noMargin>
            <Input
              id="link-url"
              width={60}
              placeholder="https://"
              value={link.url ?? ''}
              onChange={({ currentTarget }) => set({ url: currentTarget.value })}
            />
          </Field>
          <Field label="Tooltip" noMargin>
            <Input
              id="link-tooltip"
              width={60}
              value={link.tooltip ?? ''}
              onChange={({ currentTarget }) => set({ tooltip: currentTarget.value })}
            />
          </Field>
        </>
      )}
      {isTags && (
        <div>
          <Checkbox
            label="As a menu"
            value={link.asDropdown ?? false}
            onChange={({ currentTarget }) => set({ asDropdown: currentTarget.checked })}
          />
        </div>
      )}
      <div>
        <Checkbox
          label="With the time range"
          value={link.keepTime ?? false}
          onChange={({ currentTarget }) => set({ keepTime: currentTarget.checked })}
        />
      </div>
      <div>
        <Checkbox
          label="With the values of variables"
          value={link.includeVars ?? false}
          onChange={({ currentTarget }) => set({ includeVars: currentTarget.checked })}
        />
      </div>
      <div>
        <Checkbox
          label="In a new tab"
          value={link.targetBlank ?? false}
          onChange={({ currentTarget }) => set({ targetBlank: currentTarget.checked })}
        />
      </div>
      <div>
        <Button onClick={onClose}>Back to list</Button>
      </div>
    </Stack>
  );
}
