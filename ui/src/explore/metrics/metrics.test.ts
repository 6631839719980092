import { expect, it } from 'vitest';
import type { ExprNode } from '~/api/prometheus';
import { buildSelector, matching } from './selector';
import { counting, plan, write } from './tree';

const selector = (name: string, range?: number): ExprNode => ({
  type: range ? 'matrixSelector' : 'vectorSelector',
  name,
  matchers: [
    { name: '__name__', type: '=', value: name },
    { name: 'job', type: '!=', value: 'a"b' },
  ],
  offset: 300_000,
  timestamp: null,
  startOrEnd: null,
  ...(range ? { range } : {}),
});
const rate: ExprNode = {
  type: 'call',
  func: { name: 'rate', returnType: 'vector' },
  args: [selector('a', 300_000)],
};
const sum: ExprNode = {
  type: 'aggregation',
  op: 'sum',
  param: null,
  grouping: ['job', 'odd.name'],
  without: false,
  expr: rate,
};
const joined: ExprNode = {
  type: 'binaryExpr',
  op: '/',
  bool: false,
  lhs: sum,
  rhs: { type: 'parenExpr', expr: selector('b') },
  matching: { card: 'many-to-one', labels: ['job'], on: true, include: ['x'] },
};

it('a tree is written as the expression that it is', () => {
  expect(write(joined)).toBe(
    'sum by (job, "odd.name") (rate(a{job!="a\\"b"}[5m] offset 5m)) / on (job) group_left (x) (b{job!="a\\"b"} offset 5m)',
  );
  expect(
    write({
      type: 'subquery',
      expr: selector('b'),
      range: 3_600_000,
      step: 60_000,
      offset: -1000,
      timestamp: 1500,
      startOrEnd: null,
    }),
  ).toBe('b{job!="a\\"b"} offset 5m[1h:1m] @ 1.500 offset -1s');
});

it('each part is counted by itself, and what has no series is not', () => {
  const tree = plan(joined);
  expect(tree.children.map(({ title }) => title)).toEqual([
    'sum by (job, "odd.name")',
    'b{job!="a\\"b"} offset 5m',
  ]);
  const [, , range] = [tree, tree.children[0], tree.children[0]?.children[0]?.children[0]];
  expect(range && counting(range)).toBe('count(count_over_time(a{job!="a\\"b"}[5m] offset 5m))');
  expect(counting(plan({ type: 'numberLiteral', val: '5' }))).toBeUndefined();
});

it('what was chosen becomes a selector', () => {
  expect(buildSelector('up', {})).toBe('up');
  expect(buildSelector('up', { job: ['a'], zone: [] })).toBe('up{job="a"}');
  expect(buildSelector('', { job: ['a.b', 'c|d'] })).toBe('{job=~"a\\\\.b|c\\\\|d"}');
  expect(buildSelector('odd.name', { 'k8s.pod': ['x"y'] })).toBe('{"odd.name", "k8s.pod"="x\\"y"}');
  expect(buildSelector('', {})).toBe('');
});

it('metrics are found by words in any order, those that begin with them first', () => {
  const names = ['node_cpu_seconds_total', 'cpu_node', 'up'];
  expect(matching(names, 'cpu NODE')).toEqual(['cpu_node', 'node_cpu_seconds_total']);
  expect(matching(names, '')).toEqual(names);
});
