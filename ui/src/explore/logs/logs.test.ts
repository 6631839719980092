import { expect, it } from 'vitest';
import { readLines, type LogLine } from '~/panels/logs/lines';
import { marked, searchedBy } from '~/panels/logs/marks';
import { logFrame } from '~/datasources/loki/frames';
import { asCsv, asJson, asText } from './export';
import { isMetricQuery, selectorOf, streamOf, withLabel, withPattern } from './query';
import { KEPT_MAX, NOTHING, readMessage, withMessage } from './tail';

it.each([
  ['{app="a"} |= "x"', '=', {}, '{app="a"} |= "x" | pod="p\\"1"'],
  ['{app="a"} |= "x"', '!=', { isStream: true }, '{app="a", pod!="p\\"1"} |= "x"'],
  ['{app="}"}', '=', {}, '{app="}"} | pod="p\\"1"'],
  ['{}', '=', {}, '{pod="p\\"1"}'],
  ['', '=', {}, '{pod="p\\"1"}'],
  ['{app="a"} | pod="p\\"1"', '=', {}, '{app="a"} | pod="p\\"1"'],
  ['{app="a"} | pod!="p\\"1"', '=', {}, '{app="a"} | pod="p\\"1"'],
  ['{app="a"}', '=', { parser: 'json' }, '{app="a"} | json | pod="p\\"1"'],
  ['{app="a"} | json', '=', { parser: 'json' }, '{app="a"} | json | pod="p\\"1"'],
] as const)('a label is asked for: %s %s', (expr, operator, origin, expected) => {
  expect(withLabel(expr, 'pod', 'p"1', operator, origin)).toBe(expected);
});

it('names that would end the query early are not asked for', () => {
  expect(withLabel('{a="b"}', 'x"} or vector(1)', 'v', '=')).toBe('{a="b"}');
});

it('a pattern is asked for, or left out', () => {
  expect(withPattern('{a="b"} | json', 'took <_>', true)).toBe('{a="b"} |> `took <_>` | json');
  expect(withPattern('{a="b"} |> `took <_>`', 'took <_>', false)).toBe('{a="b"} !> `took <_>`');
  expect(withPattern('{a="b"}', 'a ` b', true)).toBe('{a="b"} |> "a ` b"');
});

it('queries of lines and of numbers are told apart', () => {
  expect(isMetricQuery(' {a="b"}')).toBe(false);
  expect(isMetricQuery('# errors\n{a="b"}')).toBe(false);
  expect(isMetricQuery('rate({a="b"}[5m])')).toBe(true);
  expect(selectorOf('sum(rate({a="}", b=`{`} |= "{x}" [5m]))')).toBe('{a="}", b=`{`}');
});

it('a stream is what its labels say, without what was found in the line', () => {
  expect(streamOf({ app: 'a', level: 'x', 'odd-name': 'y' }, { app: 'I', level: 'P' })).toBe('{app="a"}');
});

it('what was searched for is marked, and lines stay what they are', () => {
  const searched = searchedBy(['{a="|= `no`"} |= "a.b" != "c" |~ `x[0-9]+` |~ "(unclosed"']);
  const texts = (line: string) =>
    marked(line, searched).map(({ text, isFound }) => (isFound ? `[${text}]` : text));
  expect(texts('1 a.b axb x12 c').join('')).toBe('1 [a.b] axb [x12] c');
  expect(texts('<img src=x>')).toEqual(['<img src=x>']);
  expect(marked('plain', searchedBy(['{a="b"} |~ ".*"'])).length).toBe(1);
});

const stream = (count: number, from = 0) => ({
  streams: [
    {
      stream: { app: 'a' },
      values: Array.from({ length: count }, (_, at): [string, string] => [`${1_000_000 + from + at}`, `line ${from + at}`]),
    },
  ],
}); // prettier-ignore

it('of lines that come in only the last are kept, each with an id of its own', () => {
  const first = withMessage(NOTHING, stream(KEPT_MAX));
  const second = withMessage(first, {
    ...stream(10, KEPT_MAX),
    dropped_entries: [{ timestamp: '1', labels: {} }],
  });
  expect(second).toMatchObject({ lost: 10, dropped: 1, came: KEPT_MAX + 10 });
  expect(second.lines.length).toBe(KEPT_MAX);
  expect(second.lines[0]?.line).toBe('line 10');
  expect(new Set(second.lines.map(({ id }) => id)).size).toBe(KEPT_MAX);
  const again = withMessage(second, stream(1, 5));
  expect(again.lines.at(-1)?.id).not.toBe(second.lines.at(-1)?.id);
});

it('what is no message is passed over', () => {
  expect(readMessage('nonsense')).toBeUndefined();
  expect(readMessage('7')).toBeUndefined();
  expect(withMessage(NOTHING, { streams: null })).toEqual(NOTHING);
});

const lines: LogLine[] = readLines([
  logFrame([{ stream: { app: 'a,b' }, values: [['1700000000123456789', '=1+1 "x"']] }], 'A', ''),
]);

it('lines are taken along with their nanoseconds', () => {
  expect(asText(lines)).toBe('2023-11-14T22:13:20.123456789Z\t=1+1 "x"\n');
  expect(JSON.parse(asJson(lines))).toEqual([
    {
      timestamp: '2023-11-14T22:13:20.123456789Z',
      timestampNs: '1700000000123456789',
      line: '=1+1 "x"',
      labels: { app: 'a,b' },
    },
  ]);
});

it('no cell of a table is a formula', () => {
  expect(asCsv(lines)).toBe('time,line,app\r\n2023-11-14T22:13:20.123456789Z,"\'=1+1 ""x""","a,b"\r\n');
});
