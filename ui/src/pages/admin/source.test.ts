import { expect, it } from 'vitest';
import type { StoredSource } from '~/api/admin';
import { fieldsOf, toStore } from './source';

const OLD: StoredSource = {
  uid: 'p',
  name: 'P',
  kind: 'loki',
  url: 'http://h:1',
  isDefault: true,
  isProvisioned: false,
  settings: { basicAuthUser: 'me', httpHeaderName1: 'X-Scope-OrgID', timeInterval: '30s', timeout: 5 },
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
  const fields = { ...fieldsOf(OLD), user: '', headerName: 'X-Scope-OrgID', headerValue: 'team' };
  const { source, secrets } = toStore(fields, OLD);
  expect(source.settings).not.toHaveProperty('basicAuthUser');
  expect(secrets).toEqual({ basicAuthPassword: '', httpHeaderValue1: 'team' });
});
