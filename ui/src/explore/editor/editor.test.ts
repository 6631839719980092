import { expect, it } from 'vitest';
import { placeOf } from './logqlCompletion';
import { diagnostic, withoutVariables } from './serverLint';

it.each([
  ['{', '', { kind: 'labelName', selector: undefined }],
  ['{app="a", ', '}', { kind: 'labelName', selector: '{app="a"}' }],
  ['{app="', '"}', { kind: 'labelValue', label: 'app', written: '', selector: undefined }],
  [
    '{ns="x", app=~"we',
    '", z="1"}',
    { kind: 'labelValue', label: 'app', written: 'we', selector: '{ns="x", z="1"}' },
  ],
  ['{app="{', '', { kind: 'labelValue', label: 'app', written: '{', selector: undefined }],
  ['{app="a"} | ', '', { kind: 'stage', query: '{app="a"}' }],
  ['{app="a"} | json | le', '', { kind: 'stage', query: '{app="a"} | json' }],
  [
    '{app="a"} | json | level="',
    '',
    { kind: 'fieldValue', field: 'level', written: '', query: '{app="a"} | json' },
  ],
  ['{app="a"} |= "text | ', '', { kind: 'text' }],
  ['{app="a"} ', '', { kind: 'afterSelector' }],
  ['sum by (', ') (rate({app="a"} | logfmt [5m]))', { kind: 'grouping', query: '{app="a"} | logfmt' }],
  ['rate({app="a"}[', '', { kind: 'range' }],
  ['sum(rate({app="a"} | json | unwrap ', '', { kind: 'unwrap', query: '{app="a"} | json' }],
  ['su', '', { kind: 'function' }],
])('where the cursor stands: %s', (before, after, expected) => {
  expect(placeOf(before, after)).toEqual(expected);
});

it('what the server cannot read is marked at its place', () => {
  const text = 'sum(\n  rate(foo) +';
  expect(diagnostic(text, 'invalid parameter "query": 2:3: parse error: bad call')).toMatchObject({
    from: 7,
    to: 11,
    message: 'bad call',
  });
  expect(diagnostic('{a="b"', 'parse error at line 1, col 7: syntax error')).toMatchObject({
    from: 5,
    to: 6,
    message: 'syntax error',
  });
  expect(diagnostic('{a="b"', 'parse error at line 0, col 2: x').from).toBe(1);
  expect(diagnostic('abc', 'too many')).toMatchObject({ from: 0, to: 3, message: 'too many' });
});

it('variables become durations of the same length, so that places stay what they are', () => {
  const query = 'rate(a[$__rate_interval]) + rate(b[${__interval}])';
  expect(withoutVariables(query).length).toBe(query.length);
  expect(withoutVariables(query)).toBe('rate(a[000000000000001s]) + rate(b[000000000001s])');
});
