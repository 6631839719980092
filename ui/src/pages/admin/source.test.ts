import { expect, it } from 'vitest';
import type { StoredSource } from '~/api/admin';
import { fieldsOf, toStore, withHeader, type HeaderFields } from './source';

const OLD: StoredSource = {
  uid: 'p',
  name: 'P',
  kind: 'loki',
  url: 'http://h:1',
  isDefault: true,
  isProvisioned: false,
  settings: {
    basicAuthUser: 'me',
    httpHeaderName1: 'X-Scope-OrgID',
    httpHeaderName10: 'X-Ten',
    httpHeaderName2: 'X-Two',
    tlsAuth: true,
    tlsAuthWithCACert: true,
    serverName: 'logs.example',
    timeInterval: '30s',
    timeout: 5,
  },
  secretNames: ['basicAuthPassword', 'httpHeaderValue1', 'tlsClientKey'],
};

it('what is not touched stays as it is, secrets too', () => {
  const { source, secrets } = toStore(fieldsOf(OLD), OLD);
  expect(source).toEqual({
    uid: 'p',
    name: 'P',
    kind: 'loki',
    url: 'http://h:1',
    isDefault: true,
    settings: { ...OLD.settings, timeout: '5' },
  });
  expect(secrets).toEqual({});
});

it('what is emptied goes, with its secret', () => {
  const fields = fieldsOf(OLD);
  const [first, , tenth] = fields.headers as [HeaderFields, HeaderFields, HeaderFields];
  const { source, secrets } = toStore(
    {
      ...fields,
      user: '',
      headers: [{ ...first, value: 'team' }, tenth],
      showsCertificate: false,
      ca: 'CA',
    },
    OLD,
  );
  expect(source.settings).toEqual({
    httpHeaderName1: 'X-Scope-OrgID',
    httpHeaderName10: 'X-Ten',
    tlsAuthWithCACert: true,
    serverName: 'logs.example',
    timeInterval: '30s',
    timeout: '5',
  });
  expect(secrets).toEqual({
    basicAuthPassword: '',
    httpHeaderValue1: 'team',
    httpHeaderValue2: '',
    tlsCACert: 'CA',
    tlsClientCert: '',
    tlsClientKey: '',
  });
});

it('a header that is added has nothing of one that was taken away', () => {
  const fields = fieldsOf(OLD);
  expect(fields.headers.map(({ number }) => number)).toEqual([1, 2, 10]);
  const [added] = withHeader([], OLD) as [HeaderFields];
  expect(added.number).toBe(11);
  const { source, secrets } = toStore({ ...fields, headers: [{ ...added, name: 'X-New', value: 'v' }] }, OLD);
  expect(source.settings.httpHeaderName11).toBe('X-New');
  expect(secrets).toEqual({
    httpHeaderValue1: '',
    httpHeaderValue2: '',
    httpHeaderValue10: '',
    httpHeaderValue11: 'v',
  });
});

it('a form of what is not stored yet keeps the secrets that were typed', () => {
  const headers = withHeader([], undefined).map((header) => ({ ...header, name: 'A', value: 'b' }));
  const fields = {
    ...fieldsOf(undefined),
    name: 'N',
    url: 'https://h',
    headers,
    showsCertificate: true,
    key: 'K',
  };
  const { source, secrets } = toStore({ ...fields, certificate: 'C', serverName: ' n ' }, undefined);
  expect(source.settings).toEqual({ httpHeaderName1: 'A', tlsAuth: true, serverName: 'n' });
  expect(secrets).toEqual({
    basicAuthPassword: '',
    httpHeaderValue1: 'b',
    tlsCACert: '',
    tlsClientCert: 'C',
    tlsClientKey: 'K',
  });
});
