import { expect, it } from 'vitest';
import { spans } from './ansi';
import { commonLabels, deduplicated, levelOf, type LogLine } from './lines';

const line = (text: string, labels: Record<string, string> = {}): LogLine => ({
  id: text,
  timeMs: 0,
  timeNs: '0',
  line: text,
  labels,
  kinds: {},
  level: 'unknown',
  repeated: 0,
});

it.each([
  [{ detected_level: 'warn' }, 'an error', 'warning'],
  [{ level: 'FATAL' }, '', 'critical'],
  [{}, 'level=error msg=x', 'error'],
  [{}, '{"severity":"debug"}', 'debug'],
  [{}, 'terrors of the deep', 'unknown'],
])('level of %j %s', (labels, text, expected) => {
  expect(levelOf(labels as Record<string, string>, text)).toBe(expected);
});

it('lines like the one before are counted', () => {
  const lines = ['took 3', 'took 44', 'done', 'took 3'].map((text) => line(text));
  expect(deduplicated(lines, 'numbers').map(({ line: text, repeated }) => [text, repeated])).toEqual([
    ['took 3', 1],
    ['done', 0],
    ['took 3', 0],
  ]);
  expect(deduplicated(lines, 'none')).toBe(lines);
});

it('common labels are those all lines have', () => {
  expect(commonLabels([line('a', { x: '1', y: '2' }), line('b', { x: '1', y: '3' })])).toEqual({ x: '1' });
});

it('colours of terminals become styles', () => {
  expect(spans('plain')).toEqual([{ text: 'plain', style: {} }]);
  expect(spans('\x1b[1;31mred\x1b[0m done\x1b[K')).toEqual([
    { text: 'red', style: { fontWeight: 700, color: '#f2495c' } },
    { text: ' done', style: {} },
  ]);
});
