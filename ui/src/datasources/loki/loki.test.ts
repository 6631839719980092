import { expect, it } from 'vitest';
import { namesNothing } from './datasource';
import { logFrame } from './frames';

it.each([
  ['{a="", b=~""}', true],
  ['{a=~".*"} |= "x"', true],
  ['{}', true],
  ['{a="", b="x"}', false],
  ['{a!=""}', false],
  ['sum(rate({a=~".+", b="}"}[1m]))', false],
  ['{a=`x`}', false],
  ['vector(1)', false],
])('%s', (expr, expected) => {
  expect(namesNothing(expr)).toBe(expected);
});

it('lines of all streams are in one frame, newest first, each with an id of its own', () => {
  const frame = logFrame(
    [
      { stream: { app: 'a' }, values: [['1000000001', 'first'], ['1000000001', 'first']] },
      { stream: { app: 'b' }, values: [['2000000000', 'second', { structuredMetadata: { trace: 't' }, parsed: { level: 'warn' } }]] },
    ],
    'A',
    '{app=~".+"}',
  ); // prettier-ignore
  const values = Object.fromEntries(frame.fields.map(({ name, values: all }) => [name, all as unknown[]]));
  expect(values.Line).toEqual(['second', 'first', 'first']);
  expect(values.Time).toEqual([2000, 1000, 1000]);
  expect(values.labels?.[0]).toEqual({ app: 'b', trace: 't', level: 'warn' });
  expect(values.labelTypes?.[0]).toEqual({ app: 'I', trace: 'S', level: 'P' });
  expect(new Set(values.id).size).toBe(3);
});
