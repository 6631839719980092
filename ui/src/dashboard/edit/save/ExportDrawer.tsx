import { Button, ClipboardButton, Drawer, Field, RadioButtonGroup, Stack } from '@grafana/ui';
import { useMemo, useState } from 'react';
import { slug } from '~/pages/dashboards/slug';
import { download } from '../../download';
import type { DashboardJson } from '../../model';
import { JsonEditor } from '../settings/JsonEditor';
import { asCode, forSharing } from './exchange';

type Form = 'plain' | 'sharing' | 'code';

const FORMS = [
  { label: 'For this server', value: 'plain' as const, description: 'As it is stored' },
  {
    label: 'For sharing',
    value: 'sharing' as const,
    description: 'Who imports it chooses the data sources and the values of constants',
  },
  { label: 'As code', value: 'code' as const, description: 'A resource for a file that is provisioned' },
];

interface Props {
  dashboard: DashboardJson;
  onClose: () => void;
}

/** Gives the dashboard as JSON, in one of the forms that other servers understand. */
export function ExportDrawer({ dashboard, onClose }: Props) {
  const [form, setForm] = useState<Form>('plain');
  const text = useMemo(() => {
    const json =
      form === 'plain' ? dashboard : form === 'sharing' ? forSharing(dashboard) : asCode(dashboard);
    return JSON.stringify(json, undefined, 2);
  }, [dashboard, form]);
  return (
    <Drawer title="Export dashboard" subtitle={dashboard.title} onClose={onClose}>
      <Stack direction="column" gap={2}>
        <Field label="Form" description={FORMS.find(({ value }) => value === form)?.description} noMargin>
          <RadioButtonGroup
            aria-label="Form"
            options={FORMS.map(({ label, value }) => ({ label, value }))}
            value={form}
            onChange={setForm}
          />
        </Field>
        <Stack>
          <Button
            icon="download-alt"
            onClick={() => download(`${slug(dashboard.title)}.json`, text, 'application/json')}
          >
            Download file
          </Button>
          <ClipboardButton icon="copy" variant="secondary" getText={() => text}>
            Copy to clipboard
          </ClipboardButton>
        </Stack>
        <JsonEditor value={text} label="Dashboard JSON" isReadOnly />
      </Stack>
    </Drawer>
  );
}
