import { css } from '@emotion/css';
import { Alert, Button, Checkbox, Field, Input, Select } from '@grafana/ui';
import { useState, type FormEvent } from 'react';
import { sources, type SourceKind, type StoredSource } from '~/api/admin';
import { fieldsOf, toStore, type SourceFields } from './source';

const KINDS: { label: string; value: SourceKind }[] = [
  { label: 'Prometheus', value: 'prometheus' },
  { label: 'Loki', value: 'loki' },
  { label: 'Alertmanager', value: 'alertmanager' },
];

interface Props {
  old: StoredSource | undefined;
  onDone: () => void;
}

/** Where a server is, what it speaks, and how one gets in. */
export function SourceForm({ old, onDone }: Props) {
  const [fields, setFields] = useState(() => fieldsOf(old));
  const [told, setTold] = useState<{ text: string; severity: 'success' | 'error' }>();
  const set = (changed: Partial<SourceFields>) => setFields({ ...fields, ...changed });
  const attempt = async (action: () => Promise<string | undefined>) => {
    try {
      const text = await action();
      if (text) setTold({ text, severity: 'success' });
    } catch (reason) {
      setTold({ text: (reason as Error).message, severity: 'error' });
    }
  };
  const test = () => attempt(async () => (await sources.test(toStore(fields, old))).message);
  const save = (event: FormEvent) => {
    event.preventDefault();
    void attempt(async () => {
      const stored = toStore(fields, old);
      await (old ? sources.change(old.uid, stored) : sources.create(stored));
      onDone();
      return undefined;
    });
  };
  const isComplete = fields.name.trim() !== '' && /^https?:\/\/./.test(fields.url.trim());
  return (
    <form onSubmit={save} className={FORM}>
      <Text id="source-name" label="Name" value={fields.name} onChange={(name) => set({ name })} />
      <Field label="Kind" htmlFor="source-kind" noMargin>
        <Select<SourceKind>
          inputId="source-kind"
          options={KINDS}
          value={fields.kind}
          onChange={({ value = 'prometheus' }) => set({ kind: value })}
        />
      </Field>
      <Text
        id="source-url"
        label="Address"
        description="Such as https://prometheus.example:9090; this server asks it, not the browser"
        value={fields.url}
        onChange={(url) => set({ url })}
      />
      <Access fields={fields} set={set} hasSecrets={old !== undefined} />
      <Checkbox
        className={LEFT}
        label="Panels that name no data source of this kind ask it"
        value={fields.isDefault}
        onChange={({ currentTarget }) => set({ isDefault: currentTarget.checked })}
      />
      {told && <Alert title={told.text} severity={told.severity} />}
      <div className={BUTTONS}>
        <Button type="submit" disabled={!isComplete}>
          Save
        </Button>
        <Button type="button" variant="secondary" disabled={!isComplete} onClick={() => void test()}>
          Test
        </Button>
      </div>
    </form>
  );
}

interface AccessProps {
  fields: SourceFields;
  set: (changed: Partial<SourceFields>) => void;
  hasSecrets: boolean;
}

/** How one gets in. */
function Access({ fields, set, hasSecrets }: AccessProps) {
  const kept = hasSecrets ? 'stays as it is where nothing is typed' : undefined;
  return (
    <>
      <div className={ROW}>
        <Text
          id="source-user"
          label="User (basic authentication)"
          value={fields.user}
          onChange={(user) => set({ user })}
        />
        <Text
          id="source-password"
          label="Password"
          placeholder={kept}
          type="password"
          value={fields.password}
          onChange={(password) => set({ password })}
        />
      </div>
      <div className={ROW}>
        <Text
          id="source-header"
          label="Header, such as X-Scope-OrgID"
          value={fields.headerName}
          onChange={(headerName) => set({ headerName })}
        />
        <Text
          id="source-header-value"
          label="Its value"
          placeholder={kept}
          type="password"
          value={fields.headerValue}
          onChange={(headerValue) => set({ headerValue })}
        />
      </div>
      <div className={ROW}>
        <Text
          id="source-timeout"
          label="Timeout in seconds"
          value={fields.timeout}
          onChange={(timeout) => set({ timeout })}
        />
        <Checkbox
          label="Do not verify its certificate"
          value={fields.skipsVerification}
          onChange={({ currentTarget }) => set({ skipsVerification: currentTarget.checked })}
        />
      </div>
    </>
  );
}

interface TextProps {
  id: string;
  label: string;
  description?: string;
  placeholder?: string | undefined;
  type?: 'password';
  value: string;
  onChange: (value: string) => void;
}

function Text({ id, label, description, placeholder, type, value, onChange }: TextProps) {
  return (
    <Field label={label} description={description} noMargin>
      <Input
        id={id}
        type={type ?? 'text'}
        autoComplete={type ? 'new-password' : 'off'}
        placeholder={placeholder ?? ''}
        value={value}
        onChange={({ currentTarget }) => onChange(currentTarget.value)}
      />
    </Field>
  );
}

const FORM = css({ display: 'flex', flexDirection: 'column', gap: 12 });
const ROW = css({
  alignItems: 'flex-end',
  display: 'flex',
  flexWrap: 'wrap',
  gap: 12,
  '> div': { flex: '1 1 200px' },
});
const BUTTONS = css({ display: 'flex', gap: 12 });
const LEFT = css({ alignSelf: 'flex-start' });
