import { request } from '~/api/http';
import { ownMetrics, type Envelope, type Rule, type RuleGroup } from '~/api/prometheus';
import { hasAllParts } from '~/api/session';

export type Source = 'metrics' | 'logs';

/** A group, and whether its rules ask metrics or logs. */
export interface SourcedGroup extends RuleGroup {
  source: Source;
}

/** All groups there are; a server without logs has none about them. */
export async function loadRules(): Promise<SourcedGroup[]> {
  const [metrics, logs] = await Promise.all([ownMetrics.rules(), hasAllParts() ? loadLogRules() : []]);
  return [
    ...metrics.groups.map((group): SourcedGroup => ({ ...group, source: 'metrics' })),
    ...logs.map((group): SourcedGroup => ({ ...group, source: 'logs' })),
  ];
}

const loadLogRules = () =>
  request<Envelope<{ groups: RuleGroup[] | null }>>('/prometheus/api/v1/rules').then(
    ({ data }) => data.groups ?? [],
    () => [],
  );

/** What a rule is like: what its alerts are, or how its evaluation went where that failed. */
export function stateOf({ health, state, type }: Rule): string {
  if (health === 'err') return 'failing';
  return type === 'alerting' ? (state ?? 'unknown') : health;
}

/** Groups of which something fits, with the rules that do. */
export function filtered(groups: SourcedGroup[], search: string, state: string): SourcedGroup[] {
  const needle = search.toLowerCase();
  const fits = (group: SourcedGroup, rule: Rule) =>
    (state === 'all' || stateOf(rule) === state) &&
    `${group.name} ${group.file} ${rule.name} ${rule.query}`.toLowerCase().includes(needle);
  return groups
    .map((group) => ({ ...group, rules: group.rules.filter((rule) => fits(group, rule)) }))
    .filter(({ rules }) => rules.length);
}
