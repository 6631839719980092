import { Button, Checkbox, IconButton, Input, Stack } from '@grafana/ui';
import { removedAt, replacedAt } from '../json';

interface Link {
  title?: string;
  url?: string;
  targetBlank?: boolean;
}

interface Props {
  value: unknown;
  onChange: (value: unknown) => void;
}

/** Links of a panel, or of its values: addresses in which variables such as `${__value.text}` stand. */
export function LinkList({ value, onChange }: Props) {
  const links = (value as Link[] | undefined) ?? [];
  const set = (at: number, part: Link) => onChange(replacedAt(links, at, { ...links[at], ...part }));
  return (
    <Stack direction="column" gap={2}>
      {links.map(({ title = '', url = '', targetBlank = false }, at) => (
        <Stack key={at} direction="column" gap={0.5}>
          <Stack alignItems="center">
            <Input
              aria-label="Title of the link"
              placeholder="Title"
              value={title}
              onChange={({ currentTarget }) => set(at, { title: currentTarget.value })}
            />
            <IconButton
              name="trash-alt"
              aria-label="Remove link"
              onClick={() => onChange(removedAt(links, at))}
            />
          </Stack>
          <Input
            aria-label="Address of the link"
            placeholder="https:// or /d/…?var-job=${job}"
            value={url}
            onChange={({ currentTarget }) => set(at, { url: currentTarget.value })}
          />
          <div>
            <Checkbox
              label="In a new tab"
              value={targetBlank}
              onChange={({ currentTarget }) => set(at, { targetBlank: currentTarget.checked })}
            />
          </div>
        </Stack>
      ))}
      <div>
        <Button
          size="sm"
          variant="secondary"
          icon="plus"
          onClick={() => onChange([...links, { title: '', url: '' }])}
        >
          Add link
        </Button>
      </div>
    </Stack>
  );
}
