import { expect, it } from 'vitest';
import type { RelabelStep } from '~/api/operations';
import { explainSteps } from './steps';
import { readLabels, readLines, writeLines } from './url';

const LABELS = { __address__: 'a:1', __meta_role: 'web', env: 'dev' };

const step = (rule: RelabelStep['rule'], output: Record<string, string>, keep = true): RelabelStep => ({
  rule,
  output,
  keep,
});

it('each rule is told with what it changed, and the one that dropped ends the walk', () => {
  const renamed = { ...LABELS, role: 'web' };
  const steps = explainSteps(LABELS, [
    step({ action: 'replace', source_labels: ['__meta_role'], target_label: 'role' }, renamed),
    step({ action: 'labeldrop', regex: 'nothing' }, renamed),
    step({ action: 'replace', target_label: 'env', replacement: 'x' }, { ...renamed, env: 'x' }),
    step({ action: 'keep', source_labels: ['role', 'env'], separator: '/', regex: 'db/.*' }, {}, false),
    step({ action: 'replace', target_label: 'late', replacement: 'y' }, {}, false),
  ]);
  expect(steps.map(({ outcome }) => outcome)).toEqual([
    'changed',
    'unchanged',
    'changed',
    'dropped',
    'unreached',
  ]);
  expect(steps[0]).toMatchObject({ compared: 'web', changes: [{ name: 'role', after: 'web' }] });
  expect(steps[2]?.changes).toEqual([{ name: 'env', before: 'dev', after: 'x' }]);
  expect(steps[3]).toMatchObject({ compared: 'web/x', said: 'keep only what has role/env matching db/.*' });
});

it.each([
  [{ action: 'replace', source_labels: ['a'], target_label: 'b' }, 'set b to a'],
  [
    { action: 'replace', source_labels: ['a'], regex: '(.+):.*', replacement: '$1', target_label: 'b' },
    'set b to $1 where a matches (.+):.*',
  ],
  [{ action: 'replace', target_label: 'b', replacement: '' }, 'set b to nothing'],
  [
    { action: 'labelmap', regex: '__meta_(.+)', replacement: '$1' },
    'copy labels whose names match __meta_(.+) to $1',
  ],
  [
    { action: 'hashmod', source_labels: ['a'], modulus: 4, target_label: 's' },
    'set s to the hash of a modulo 4',
  ],
  [{ action: 'dropequal', source_labels: ['a'], target_label: 'b' }, 'drop what has a equal to b'],
])('a rule is said in words: %j', (rule, said) => {
  expect(explainSteps({}, [step(rule, {})])[0]?.said).toBe(said);
});

it('labels are written as lines and read back; what is no label is not read', () => {
  const labels = { __address__: 'h:1', url: 'http://x/?a=b' };
  expect(readLines(writeLines(labels))).toEqual(labels);
  expect(readLines('a = b \n=c\nnothing\n')).toEqual({ a: 'b' });
  expect([readLabels('[1]'), readLabels('{"a":1}'), readLabels('{')]).toEqual([{}, { a: '1' }, {}]);
});
