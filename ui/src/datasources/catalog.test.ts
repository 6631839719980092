import { afterEach, expect, it } from 'vitest';
import type { KeptSource } from '~/api/sources';
import { initServices } from '~/grafana-host/services';
import { OWN_ALERTS, OWN_LOGS, OWN_METRICS, VIRTUAL, catalog, takeSources } from './catalog';
import { dataSources } from './index';

initServices();

const source = (changed: Partial<KeptSource>): KeptSource => ({
  uid: 'other',
  name: 'Other',
  kind: 'prometheus',
  url: 'http://other:9090',
  isDefault: false,
  ...changed,
});
const uids = () => catalog.map(({ uid }) => uid).filter((uid) => !VIRTUAL.includes(uid));
const uidFor = (reference: Parameters<typeof dataSources.getInstanceSettings>[0]) =>
  dataSources.getInstanceSettings(reference)?.uid;

afterEach(() => takeSources([]));

it('another server is added to what this one has, and asked only where it is meant', () => {
  takeSources([source({ settings: { timeInterval: '1m' } })]);
  expect(uids()).toEqual([OWN_METRICS, OWN_LOGS, OWN_ALERTS, 'other']);
  expect(uidFor(null)).toBe(OWN_METRICS);
  expect(uidFor({ type: 'prometheus', uid: 'from elsewhere' })).toBe(OWN_METRICS);
  expect(uidFor('Other')).toBe('other');
  expect(dataSources.getInstanceSettings('other')).toMatchObject({
    url: '/api/ui/proxy/other',
    jsonData: { timeInterval: '1m' },
  });
});

it('the default of a kind is asked where none is named, of that kind alone', () => {
  takeSources([source({ isDefault: true })]);
  expect(uidFor(null)).toBe('other');
  expect(uidFor({ type: 'prometheus', uid: 'from elsewhere' })).toBe('other');
  expect(uidFor({ type: 'loki', uid: 'from elsewhere' })).toBe(OWN_LOGS);
  expect(catalog.filter(({ isDefault }) => isDefault).map(({ uid }) => uid)).toEqual(['other']);
});

it('this server by another name stands in the place of its own', () => {
  takeSources([source({ uid: 'mine', url: '', kind: 'loki' })]);
  expect(uids()).toEqual([OWN_METRICS, OWN_ALERTS, 'mine']);
});

it('those that stand for others are chosen from no list', () => {
  expect(dataSources.getList().map(({ uid }) => uid)).toEqual([OWN_METRICS, OWN_LOGS, OWN_ALERTS]);
});
