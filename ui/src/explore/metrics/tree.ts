/** An expression as the server reads it, as a tree to look at: each node with its own text. */
import type { ExprNode, MatcherNode, SelectorNode } from '~/api/prometheus';
import { writeDuration } from '~/datasources/prometheus/interval';

export interface PlanNode {
  /** What this node does, such as `sum by (job)`. */
  title: string;
  /** What kind of work it is. */
  kind: string;
  /** The expression that is this node with all below it. */
  expr: string;
  /** Whether its value is a range of each series, which cannot be asked for as it is. */
  isRange: boolean;
  /** Whether there are series to count. */
  hasSeries: boolean;
  children: PlanNode[];
}

export function plan(node: ExprNode): PlanNode {
  const expr = write(node);
  const leaf = { expr, isRange: false, hasSeries: true, children: [] };
  switch (node.type) {
    case 'numberLiteral':
      return { ...leaf, title: expr, kind: 'number', hasSeries: false };
    case 'stringLiteral':
      return { ...leaf, title: expr, kind: 'text', hasSeries: false };
    // Parentheses do nothing by themselves.
    case 'parenExpr':
      return plan(node.expr);
    case 'unaryExpr':
      return { ...leaf, title: node.op, kind: 'negates', children: [plan(node.expr)] };
    case 'binaryExpr':
      return {
        ...leaf,
        title: `${node.op}${writeMatching(node)}`,
        kind: node.matching ? `joins ${node.matching.card}` : 'calculates',
        children: [plan(node.lhs), plan(node.rhs)],
      };
    case 'aggregation':
      return {
        ...leaf,
        title: [node.op, writeGrouping(node)].filter(Boolean).join(' '),
        kind: 'aggregates',
        children: [...(node.param ? [plan(node.param)] : []), plan(node.expr)],
      };
    case 'call':
      return {
        ...leaf,
        title: `${node.func.name}()`,
        kind: 'function',
        hasSeries: node.func.returnType === 'vector',
        children: node.args.map(plan),
      };
    case 'subquery':
      return {
        ...leaf,
        title: writeRange(node),
        kind: 'subquery',
        isRange: true,
        children: [plan(node.expr)],
      };
    default:
      return {
        ...leaf,
        title: expr,
        kind: node.type === 'matrixSelector' ? 'reads a range' : 'reads',
        isRange: node.type === 'matrixSelector',
      };
  }
}

/** What counts the series of a node; nothing where it has none. */
export function counting({ expr, isRange, hasSeries }: PlanNode): string | undefined {
  if (!hasSeries) return undefined;
  return isRange ? `count(count_over_time(${expr}))` : `count(${expr})`;
}

export function write(node: ExprNode): string {
  switch (node.type) {
    case 'numberLiteral':
      return node.val;
    case 'stringLiteral':
      return JSON.stringify(node.val);
    case 'parenExpr':
      return `(${write(node.expr)})`;
    case 'unaryExpr':
      return `${node.op}${write(node.expr)}`;
    case 'binaryExpr':
      return `${write(node.lhs)} ${node.op}${writeMatching(node)} ${write(node.rhs)}`;
    case 'aggregation': {
      const parameters = [...(node.param ? [write(node.param)] : []), write(node.expr)].join(', ');
      const grouping = writeGrouping(node);
      return `${node.op}${grouping ? ` ${grouping} ` : ''}(${parameters})`;
    }
    case 'call':
      return `${node.func.name}(${node.args.map(write).join(', ')})`;
    case 'subquery':
      return `${write(node.expr)}${writeRange(node)}${writeModifiers(node)}`;
    default:
      return writeSelector(node);
  }
}

type Of<Type> = Extract<ExprNode, { type: Type }>;

function writeGrouping({ grouping, without }: Of<'aggregation'>): string {
  if (!grouping?.length && !without) return '';
  return `${without ? 'without' : 'by'} (${(grouping ?? []).map(writeName).join(', ')})`;
}

function writeMatching({ bool, matching }: Of<'binaryExpr'>): string {
  const names = (list: string[] | null) => `(${(list ?? []).map(writeName).join(', ')})`;
  const parts = [bool ? ' bool' : ''];
  if (matching && (matching.on || matching.labels?.length))
    parts.push(` ${matching.on ? 'on' : 'ignoring'} ${names(matching.labels)}`);
  if (matching?.card === 'many-to-one') parts.push(` group_left ${names(matching.include)}`);
  if (matching?.card === 'one-to-many') parts.push(` group_right ${names(matching.include)}`);
  return parts.join('');
}

const writeRange = ({ range, step }: Of<'subquery'>) =>
  `[${writeDuration(range)}:${step ? writeDuration(step) : ''}]`;

function writeSelector(node: SelectorNode): string {
  const { name, matchers, range, anchored, smoothed } = node;
  const isPlain = /^[a-zA-Z_:][\w:]*$/.test(name);
  const shown = isPlain
    ? matchers.filter((matcher) => matcher.name !== '__name__' || matcher.value !== name)
    : matchers;
  const written = shown.map(writeMatcher).join(', ');
  const braces = written || !isPlain ? `{${written}}` : '';
  const edges = anchored ? ' anchored' : smoothed ? ' smoothed' : '';
  return `${isPlain ? name : ''}${braces}${range ? `[${writeDuration(range)}]` : ''}${edges}${writeModifiers(node)}`;
}

const writeMatcher = ({ name, type, value }: MatcherNode) =>
  `${writeName(name)}${type}${JSON.stringify(value)}`;

/** Names with more than letters, digits and underscores are quoted. */
export const writeName = (name: string) => (/^[a-zA-Z_]\w*$/.test(name) ? name : JSON.stringify(name));

function writeModifiers({ offset, timestamp, startOrEnd }: SelectorNode | Of<'subquery'>): string {
  const at =
    timestamp === null ? (startOrEnd ? ` @ ${startOrEnd}()` : '') : ` @ ${(timestamp / 1000).toFixed(3)}`;
  const sign = offset < 0 ? '-' : '';
  return `${at}${offset ? ` offset ${sign}${writeDuration(Math.abs(offset))}` : ''}`;
}
