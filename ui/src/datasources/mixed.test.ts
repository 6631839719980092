import { toDataFrame, type DataQuery, type DataQueryRequest, type DataQueryResponse } from '@grafana/data';
import { setDataSourceSrv } from '@grafana/runtime';
import { lastValueFrom, of, throwError } from 'rxjs';
import { beforeEach, expect, it } from 'vitest';
import { MIXED } from './catalog';
import { MixedDatasource } from './mixed';

const mixed = new MixedDatasource({} as never);
let asked: string[];

/** A source that answers with a frame for each query, or fails. */
const source = (name: string, failure?: string) => ({
  query: ({ targets }: DataQueryRequest) => {
    asked.push(`${name}: ${targets.map(({ refId }) => refId).join(' ')}`);
    if (failure) return throwError(() => new Error(failure));
    return of({ data: targets.map(({ refId }) => toDataFrame({ refId, name, fields: [] })) });
  },
});

beforeEach(() => {
  asked = [];
  const sources: Record<string, unknown> = {
    default: source('default'),
    logs: source('logs'),
    broken: source('broken', 'it is down'),
    [MIXED]: mixed,
  };
  const get = (reference: { uid?: string } | null | undefined) =>
    Promise.resolve(sources[reference?.uid ?? 'default']);
  setDataSourceSrv({ get } as never);
});

const query = (...targets: (Partial<DataQuery> & { refId: string })[]): Promise<DataQueryResponse> =>
  lastValueFrom(mixed.query({ targets, scopedVars: {} } as unknown as DataQueryRequest));

it('each source is asked once, for what is its own', async () => {
  const logs = { uid: 'logs' };
  const { data, state } = await query(
    { refId: 'A' },
    { refId: 'B', datasource: logs },
    { refId: 'C' },
    { refId: 'D', datasource: logs, hide: true },
  );
  expect(asked).toEqual(['default: A C', 'logs: B']);
  expect(data.map(({ refId, name }) => `${refId} ${name}`)).toEqual(['A default', 'C default', 'B logs']);
  expect(state).toBe('Done');
});

it('a query that is given this source as its own goes to the default one, not here again', async () => {
  await query({ refId: 'A', datasource: { uid: MIXED } }, { refId: 'B' });
  expect(asked).toEqual(['default: A B']);
});

it('a source that fails leaves the others their answers', async () => {
  const { data, errors, state } = await query({ refId: 'A' }, { refId: 'B', datasource: { uid: 'broken' } });
  expect(data.map(({ refId }) => refId)).toEqual(['A']);
  expect(errors?.map(({ message, refId }) => [refId, message])).toEqual([['B', 'it is down']]);
  expect(state).toBe('Error');
});
