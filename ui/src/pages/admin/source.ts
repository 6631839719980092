/** The form of a data source as text, and what is sent of it. */
import type { SourceKind, SourceToStore, StoredSource } from '~/api/admin';

export interface SourceFields {
  name: string;
  kind: SourceKind;
  url: string;
  isDefault: boolean;
  user: string;
  password: string;
  headerName: string;
  headerValue: string;
  skipsVerification: boolean;
  timeout: string;
}

const text = (value: unknown) =>
  typeof value === 'string' || typeof value === 'number' ? String(value) : '';

/** What the form begins with; secrets are never told, so that they are empty. */
export function fieldsOf(old: StoredSource | undefined): SourceFields {
  const { name = '', kind = 'prometheus', url = '', isDefault = false, settings = {} } = old ?? {};
  return {
    name,
    kind,
    url,
    isDefault,
    user: text(settings.basicAuthUser),
    password: '',
    headerName: text(settings.httpHeaderName1),
    headerValue: '',
    skipsVerification: settings.tlsSkipVerify === true,
    timeout: text(settings.timeout),
  };
}

/** What is stored: settings that the form does not know stay, and so do secrets in which nothing was typed. */
export function toStore(fields: SourceFields, old: StoredSource | undefined): SourceToStore {
  const settings: Record<string, unknown> = { ...old?.settings };
  const set = (key: string, value: unknown) => {
    if (value === '' || value === false) delete settings[key];
    else settings[key] = value;
  };
  set('basicAuthUser', fields.user.trim());
  set('httpHeaderName1', fields.headerName.trim());
  set('tlsSkipVerify', fields.skipsVerification);
  set('timeout', fields.timeout.trim());
  const secrets: Record<string, string> = {};
  if (fields.password || !fields.user) secrets.basicAuthPassword = fields.password;
  if (fields.headerValue || !fields.headerName) secrets.httpHeaderValue1 = fields.headerValue;
  const { name, kind, url, isDefault } = fields;
  return {
    source: { uid: old?.uid ?? '', name: name.trim(), kind, url: url.trim(), isDefault, settings },
    secrets,
  };
}
