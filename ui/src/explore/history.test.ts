import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { KeptRun } from '~/api/history';
import { loadSession } from '~/api/session';
import {
  changeRun,
  forgetRun,
  listRuns,
  loadHistory,
  rememberRun,
  saveHistory,
  type Remembered,
} from './history';

/** A server that keeps runs for who has logged in. */
function keeping(user: object | null) {
  const kept: KeptRun[] = [];
  const answer = (path: string, method: string, body: Record<string, unknown>): unknown => {
    if (path === '/api/ui/session') return { user, role: 'viewer' };
    const id = Number(path.split('/').at(-1));
    const at = kept.findIndex((run) => run.id === id);
    if (method === 'GET') return kept;
    if (method === 'DELETE') return void kept.splice(at, 1);
    if (method === 'PUT') return Object.assign(kept[at] as KeptRun, body);
    const added = { id: kept.length + 1, comment: '', starred: false, atMs: 5, ...body } as KeptRun;
    kept.unshift(added);
    return added;
  };
  const ask = vi.fn((url: string, init: RequestInit) => {
    const body = JSON.parse((init.body as string | undefined) ?? '{}') as Record<string, unknown>;
    const path = url.split('?')[0] ?? '';
    return Promise.resolve(new Response(JSON.stringify(answer(path, init.method ?? 'GET', body)) ?? ''));
  });
  vi.stubGlobal('fetch', ask);
  return { kept, ask };
}

beforeEach(() => localStorage.clear());
afterEach(() => vi.unstubAllGlobals());

it('what a user runs is kept by the server, with its star and comment', async () => {
  const { kept } = keeping({ login: 'ann' });
  await loadSession();
  rememberRun('m', ['up', ' ']);
  await vi.waitFor(() => expect(kept).toHaveLength(1));
  const [run] = (await listRuns('', false)) as [Remembered];
  await changeRun(run, { starred: true });
  await changeRun(run, { comment: 'why' });
  expect(kept).toEqual([{ id: 1, datasource: 'm', queries: ['up'], starred: true, comment: 'why', atMs: 5 }]);
  await forgetRun(run);
  expect(kept).toEqual([]);
  expect(loadHistory()).toEqual([]);
});

it('what a browser kept for a user goes to the server once', async () => {
  const { kept } = keeping({ login: 'ann' });
  await loadSession();
  saveHistory([
    { datasource: 'm', queries: ['new'], atMs: 2, starred: false },
    { datasource: 'm', queries: ['old'], atMs: 1, starred: true },
  ]);
  expect((await listRuns('', false)).map(({ queries }) => queries[0])).toEqual(['old', 'new']);
  expect(kept.map(({ atMs, starred }) => [atMs, starred])).toEqual([
    [1, true],
    [2, false],
  ]);
  expect(loadHistory()).toEqual([]);
  await listRuns('', false);
  expect(kept).toHaveLength(2);
});

it('what nobody in particular runs stays in the browser', async () => {
  const { ask } = keeping(null);
  await loadSession();
  rememberRun('m', ['up']);
  const [run] = (await listRuns('UP', false)) as [Remembered];
  await changeRun(run, { comment: 'why', starred: true });
  expect(await listRuns('why', true)).toMatchObject([{ queries: ['up'], comment: 'why' }]);
  await forgetRun(run);
  expect(await listRuns('', false)).toEqual([]);
  expect(ask).toHaveBeenCalledTimes(1);
});
