import { afterEach, expect, it, vi } from 'vitest';
import { ApiError, encodeParameters, request, setCsrfToken } from './http';
import { Shared } from './shared';

afterEach(() => {
  vi.unstubAllGlobals();
  setCsrfToken(undefined);
});

const answering = (status: number, body: string) => {
  const asked = vi.fn((_url: string, _init: RequestInit) => Promise.resolve(new Response(body, { status })));
  vi.stubGlobal('fetch', asked);
  return asked;
};

it('parameters are left out where there is nothing, and repeated where there are several', () => {
  expect(encodeParameters({ a: 1, b: undefined, c: '', 'd[]': ['x', 'y&'] }).toString()).toBe(
    'a=1&d%5B%5D=x&d%5B%5D=y%26',
  );
});

it.each([
  ['{"status":"error","errorType":"bad_data","error":"no"}', 'no', 'bad_data'],
  ['{"message":"not found"}', 'not found', undefined],
  ['"told plainly"', 'told plainly', undefined],
  ['plain text\n', 'plain text', undefined],
  ['', 'the server answered with status 422', undefined],
])('a failure says what the server says: %s', async (body, message, kind) => {
  answering(422, body);
  const failure: unknown = await request('/x').catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(ApiError);
  expect(failure).toMatchObject({ message, status: 422, ...(kind ? { kind } : {}) });
});

it('changes carry the token of the session, and looking does not', async () => {
  const asked = answering(200, '{}');
  setCsrfToken('secret');
  await request('/x');
  await request('/x', { method: 'POST', body: {} });
  const tokens = asked.mock.calls.map(([, init]) => new Headers(init.headers).get('X-CSRF-Token'));
  expect(tokens).toEqual([null, 'secret']);
});

it('what is asked twice at a time is asked once', async () => {
  const shared = new Shared();
  const ask = vi.fn(() => Promise.resolve(7));
  const answers = await Promise.all([
    shared.run('a', undefined, ask),
    shared.run('a', undefined, ask),
    shared.run('b', undefined, ask),
  ]);
  expect(answers).toEqual([7, 7, 7]);
  expect(ask).toHaveBeenCalledTimes(2);
  await shared.run('a', undefined, ask);
  expect(ask).toHaveBeenCalledTimes(3);
});

it('a request ends when nobody waits for it any more', () => {
  const shared = new Shared();
  const [first, second] = [new AbortController(), new AbortController()];
  let signal: AbortSignal | undefined;
  const ask = (inner: AbortSignal) => {
    signal = inner;
    return new Promise<never>(() => undefined);
  };
  void shared.run('a', first.signal, ask);
  void shared.run('a', second.signal, ask);
  first.abort();
  expect(signal?.aborted).toBe(false);
  second.abort();
  expect(signal?.aborted).toBe(true);
});
