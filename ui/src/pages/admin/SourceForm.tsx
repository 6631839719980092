import { css } from '@emotion/css';
import { Alert, Button, Checkbox, Field, IconButton, Input, Select, TextArea } from '@grafana/ui';
import { useState, type FormEvent } from 'react';
import { sources, type SourceKind, type StoredSource } from '~/api/admin';
import { fieldsOf, toStore, withHeader, type SourceFields } from './source';

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
      <Access fields={fields} set={set} old={old} />
      {fields.kind === 'prometheus' && (
        <Text
          id="source-interval"
          label="Scrape interval"
          description="How often it scrapes, such as 1m; 15s where nothing is said. Rates are over at least four of it"
          value={fields.scrapeInterval}
          onChange={(scrapeInterval) => set({ scrapeInterval })}
        />
      )}
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
  old: StoredSource | undefined;
}

/** How one gets in. */
function Access({ fields, set, old }: AccessProps) {
  const kept = (secret: string) => (old?.secretNames.includes(secret) ? KEPT : undefined);
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
          placeholder={kept('basicAuthPassword')}
          type="password"
          value={fields.password}
          onChange={(password) => set({ password })}
        />
      </div>
      <Headers fields={fields} set={set} old={old} />
      <Certificates fields={fields} set={set} old={old} />
      <Text
        id="source-timeout"
        label="Timeout in seconds"
        value={fields.timeout}
        onChange={(timeout) => set({ timeout })}
      />
    </>
  );
}

/** What every request carries beside that. */
function Headers({ fields: { headers }, set, old }: AccessProps) {
  const change = (number: number, changed: { name?: string; value?: string }) =>
    set({
      headers: headers.map((header) => (header.number === number ? { ...header, ...changed } : header)),
    });
  return (
    <fieldset className={GROUP} aria-label="Headers">
      {headers.map(({ number, name, value }, index) => (
        <div key={number} className={ROW}>
          <Text
            id={`source-header-${number}`}
            label={`Header ${index + 1}, such as X-Scope-OrgID`}
            value={name}
            onChange={(changed) => change(number, { name: changed })}
          />
          <Text
            id={`source-header-value-${number}`}
            label={`Value of header ${index + 1}`}
            placeholder={old?.secretNames.includes(`httpHeaderValue${number}`) ? KEPT : undefined}
            type="password"
            value={value}
            onChange={(changed) => change(number, { value: changed })}
          />
          <IconButton
            name="trash-alt"
            aria-label={`Take header ${index + 1} away`}
            onClick={() => set({ headers: headers.filter((header) => header.number !== number) })}
          />
        </div>
      ))}
      <Button
        className={LEFT}
        type="button"
        size="sm"
        variant="secondary"
        icon="plus"
        onClick={() => set({ headers: withHeader(headers, old) })}
      >
        Add header
      </Button>
    </fieldset>
  );
}

/** Who it is, and who asks it. */
function Certificates({ fields, set, old }: AccessProps) {
  const pem = (id: string, label: string, secret: string, field: 'ca' | 'certificate' | 'key') => (
    <Field label={label} noMargin>
      <TextArea
        id={id}
        rows={3}
        spellCheck={false}
        placeholder={old?.secretNames.includes(secret) ? KEPT : '-----BEGIN …'}
        value={fields[field]}
        onChange={({ currentTarget }) => set({ [field]: currentTarget.value })}
      />
    </Field>
  );
  return (
    <fieldset className={GROUP} aria-label="TLS">
      <Checkbox
        className={LEFT}
        label="Do not verify its certificate"
        value={fields.skipsVerification}
        onChange={({ currentTarget }) => set({ skipsVerification: currentTarget.checked })}
      />
      <Checkbox
        className={LEFT}
        label="Its certificate is signed by an authority of its own"
        value={fields.hasOwnCa}
        onChange={({ currentTarget }) => set({ hasOwnCa: currentTarget.checked })}
      />
      {fields.hasOwnCa && pem('source-ca', 'Certificate of the authority', 'tlsCACert', 'ca')}
      <Checkbox
        className={LEFT}
        label="It asks for a certificate"
        value={fields.showsCertificate}
        onChange={({ currentTarget }) => set({ showsCertificate: currentTarget.checked })}
      />
      {fields.showsCertificate && (
        <>
          {pem('source-certificate', 'Client certificate', 'tlsClientCert', 'certificate')}
          {pem('source-key', 'Client key', 'tlsClientKey', 'key')}
        </>
      )}
      {(fields.hasOwnCa || fields.showsCertificate) && (
        <Text
          id="source-server-name"
          label="Name in its certificate"
          description="Where it is not that of the address"
          value={fields.serverName}
          onChange={(serverName) => set({ serverName })}
        />
      )}
    </fieldset>
  );
}

/** Of a secret that is stored. */
const KEPT = 'stays as it is where nothing is typed';

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
const GROUP = css({ border: 0, display: 'flex', flexDirection: 'column', gap: 8, margin: 0, padding: 0 });
const BUTTONS = css({ display: 'flex', gap: 12 });
const LEFT = css({ alignSelf: 'flex-start' });
