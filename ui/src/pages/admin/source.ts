/** The form of a data source as text, and what is sent of it. Names of settings and secrets are those of Grafana. */
import type { SourceKind, SourceToStore, StoredSource } from '~/api/admin';

/** A header that every request has. */
export interface HeaderFields {
  /** Its number in the names of its setting and its secret. */
  number: number;
  name: string;
  value: string;
}

export interface SourceFields {
  name: string;
  kind: SourceKind;
  url: string;
  isDefault: boolean;
  user: string;
  password: string;
  headers: HeaderFields[];
  skipsVerification: boolean;
  /** Whether its certificate is signed by an authority of its own. */
  hasOwnCa: boolean;
  ca: string;
  /** Whether it wants to see a certificate. */
  showsCertificate: boolean;
  certificate: string;
  key: string;
  /** What its certificate is for, where that is not the host of its address. */
  serverName: string;
  timeout: string;
  /** How often a Prometheus scrapes, such as `1m`. */
  scrapeInterval: string;
}

const text = (value: unknown) =>
  typeof value === 'string' || typeof value === 'number' ? String(value) : '';

const HEADER = /^httpHeaderName(\d+)$/;

function headersOf(settings: Record<string, unknown>): HeaderFields[] {
  const headers = Object.entries(settings).flatMap(([key, name]) => {
    const number = HEADER.exec(key)?.[1];
    return number ? [{ number: Number(number), name: text(name), value: '' }] : [];
  });
  return headers.sort((a, b) => a.number - b.number);
}

/** With one more, which has a number that none has or had: values that are stored belong to numbers. */
export function withHeader(headers: HeaderFields[], old: StoredSource | undefined): HeaderFields[] {
  const used = [...headers, ...headersOf(old?.settings ?? {})].map(({ number }) => number);
  return [...headers, { number: Math.max(0, ...used) + 1, name: '', value: '' }];
}

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
    headers: headersOf(settings),
    skipsVerification: settings.tlsSkipVerify === true,
    hasOwnCa: settings.tlsAuthWithCACert === true,
    ca: '',
    showsCertificate: settings.tlsAuth === true,
    certificate: '',
    key: '',
    serverName: text(settings.serverName),
    timeout: text(settings.timeout),
    scrapeInterval: text(settings.timeInterval),
  };
}

/** What is stored: settings that the form does not know stay, and so do secrets in which nothing was typed. */
export function toStore(fields: SourceFields, old: StoredSource | undefined): SourceToStore {
  const settings: Record<string, unknown> = { ...old?.settings };
  const secrets: Record<string, string> = {};
  const set = (key: string, value: unknown) => {
    if (value === '' || value === false) delete settings[key];
    else settings[key] = value;
  };
  const setSecret = (key: string, value: string, isWanted: boolean) => {
    if (!isWanted) secrets[key] = '';
    else if (value) secrets[key] = value;
  };
  set('basicAuthUser', fields.user.trim());
  setSecret('basicAuthPassword', fields.password, fields.user.trim() !== '');
  for (const { number } of headersOf(settings)) {
    set(`httpHeaderName${number}`, '');
    secrets[`httpHeaderValue${number}`] = '';
  }
  for (const { number, name, value } of fields.headers) {
    delete secrets[`httpHeaderValue${number}`];
    set(`httpHeaderName${number}`, name.trim());
    setSecret(`httpHeaderValue${number}`, value, name.trim() !== '');
  }
  set('tlsSkipVerify', fields.skipsVerification);
  set('tlsAuthWithCACert', fields.hasOwnCa);
  setSecret('tlsCACert', fields.ca, fields.hasOwnCa);
  set('tlsAuth', fields.showsCertificate);
  setSecret('tlsClientCert', fields.certificate, fields.showsCertificate);
  setSecret('tlsClientKey', fields.key, fields.showsCertificate);
  set('serverName', fields.hasOwnCa || fields.showsCertificate ? fields.serverName.trim() : '');
  set('timeout', fields.timeout.trim());
  set('timeInterval', fields.scrapeInterval.trim());
  const { name, kind, url, isDefault } = fields;
  return {
    source: { uid: old?.uid ?? '', name: name.trim(), kind, url: url.trim(), isDefault, settings },
    secrets,
  };
}
