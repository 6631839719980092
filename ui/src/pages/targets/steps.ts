/** What relabelling did, step by step, in a form to be read. */
import type { RelabelRule, RelabelStep } from '~/api/operations';
import type { Labels } from '~/api/prometheus';

export interface Change {
  name: string;
  before?: string;
  after?: string;
}
export interface ExplainedStep {
  rule: RelabelRule;
  /** The rule as a sentence. */
  said: string;
  /** What the rule compared: the values of its source labels, joined. */
  compared?: string;
  changes: Change[];
  outcome: 'dropped' | 'changed' | 'unchanged' | 'unreached';
  /** The labels after it. */
  after: Labels;
}

/** Each rule with what it did to the labels before it. */
export function explainSteps(labels: Labels, steps: RelabelStep[]): ExplainedStep[] {
  let before = labels;
  let kept = true;
  return steps.map(({ rule, output, keep }) => {
    const compared = comparedBy(rule, before);
    const said = inWords(rule);
    const common = { rule, said, ...(compared === undefined ? {} : { compared }) };
    if (!kept) return { rule, said, changes: [], outcome: 'unreached', after: {} };
    kept = keep;
    if (!keep) return { ...common, changes: [], outcome: 'dropped', after: {} };
    const changes = changesOf(before, output);
    before = output;
    return { ...common, changes, outcome: changes.length ? 'changed' : 'unchanged', after: output };
  });
}

/** The labels that series get: those a target is only scraped by are left out. */
export const publicLabels = (labels: Labels): Labels =>
  Object.fromEntries(Object.entries(labels).filter(([name]) => !name.startsWith('__')));

export function changesOf(before: Labels, after: Labels): Change[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return names
    .filter((name) => before[name] !== after[name])
    .map((name) => ({
      name,
      ...(before[name] === undefined ? {} : { before: before[name] }),
      ...(after[name] === undefined ? {} : { after: after[name] }),
    }));
}

/** The rules of these look at names of labels, not at values. */
const BY_NAME = ['labelmap', 'labeldrop', 'labelkeep'];

function comparedBy({ action, source_labels, separator = ';' }: RelabelRule, labels: Labels) {
  if (BY_NAME.includes(action) || !source_labels?.length) return undefined;
  return source_labels.map((name) => labels[name] ?? '').join(separator);
}

function inWords(rule: RelabelRule): string {
  const { action, regex = '(.*)', replacement = '$1', target_label: target = '', modulus = 0 } = rule;
  const source = (rule.source_labels ?? []).join(rule.separator ?? ';') || 'nothing';
  const where = regex === '(.*)' ? '' : ` where ${source} matches ${regex}`;
  switch (action) {
    case 'keep':
      return `keep only what has ${source} matching ${regex}`;
    case 'drop':
      return `drop what has ${source} matching ${regex}`;
    case 'keepequal':
      return `keep only what has ${source} equal to ${target}`;
    case 'dropequal':
      return `drop what has ${source} equal to ${target}`;
    case 'labelmap':
      return `copy labels whose names match ${regex} to ${replacement}`;
    case 'labeldrop':
      return `remove labels whose names match ${regex}`;
    case 'labelkeep':
      return `remove labels whose names do not match ${regex}`;
    case 'hashmod':
      return `set ${target} to the hash of ${source} modulo ${modulus}`;
    case 'lowercase':
    case 'uppercase':
      return `set ${target} to ${source} in ${action}`;
    default:
      return replacement === '$1' && regex === '(.*)'
        ? `set ${target} to ${source}`
        : `set ${target} to ${replacement === '' ? 'nothing' : replacement}${where}`;
  }
}
