import { ownAlertmanager, type GettableAlert } from '~/api/alertmanager';
import { ownMetrics, type Labels } from '~/api/prometheus';
import { hasAllParts } from '~/api/session';

export type State = 'firing' | 'pending' | 'silenced' | 'inhibited';

/** An alert as a rule knows it, an Alertmanager, or both. */
export interface Alert {
  key: string;
  state: State;
  labels: Labels;
  annotations: Labels;
  since: string;
  receivers: string[];
  silencedBy: string[];
  /** What its rule found, as the API writes it; only rules of this server tell. */
  value?: string;
  /** Where its rule is to be seen. */
  generatorUrl?: string;
}

export interface RuleAlertSummary {
  labels: Labels;
  annotations: Labels;
  state: string;
  activeAt: string;
  value?: string;
}

/** Alerts of rules, with what the Alertmanager does about them; one that is not there takes nothing away. */
export async function loadAlerts(): Promise<Alert[]> {
  const [rules, told] = await Promise.all([
    ownMetrics.get<{ alerts: RuleAlertSummary[] }>('alerts', {}),
    hasAllParts() ? ownAlertmanager.alerts().catch((): GettableAlert[] => []) : [],
  ]);
  return merged(rules.alerts, told);
}

/** The worst first, and of those the latest. */
export function merged(rules: RuleAlertSummary[], told: GettableAlert[]): Alert[] {
  const byLabels = new Map<string, Alert>();
  for (const { labels, annotations, state, activeAt, value } of rules) {
    const key = keyOf(labels);
    const common = { key, labels, annotations, since: activeAt, receivers: [], silencedBy: [] };
    byLabels.set(key, {
      ...common,
      state: state === 'pending' ? 'pending' : 'firing',
      ...(value === undefined ? {} : { value }),
    });
  }
  for (const { labels, annotations, startsAt, receivers, status, generatorURL } of told) {
    const key = keyOf(labels);
    const state = status.silencedBy.length ? 'silenced' : status.inhibitedBy.length ? 'inhibited' : 'firing';
    byLabels.set(key, {
      ...{ key, labels, annotations, since: startsAt },
      ...byLabels.get(key),
      ...{ state, silencedBy: status.silencedBy, receivers: receivers.map(({ name }) => name) },
      ...(generatorURL ? { generatorUrl: generatorURL } : {}),
    });
  }
  const order: State[] = ['firing', 'pending', 'inhibited', 'silenced'];
  return [...byLabels.values()].sort(
    (a, b) => order.indexOf(a.state) - order.indexOf(b.state) || (a.since < b.since ? 1 : -1),
  );
}

const keyOf = (labels: Labels) => JSON.stringify(Object.entries(labels).sort());

/** Alerts by the value of a label, those of which most fire first; all in one group where no label is named. */
export function grouped(alerts: Alert[], label: string): [string, Alert[]][] {
  if (!label) return [['', alerts]];
  const groups = new Map<string, Alert[]>();
  for (const alert of alerts) {
    const value = alert.labels[label] ?? '';
    groups.set(value, [...(groups.get(value) ?? []), alert]);
  }
  const firing = (list: Alert[]) => list.filter(({ state }) => state === 'firing').length;
  return [...groups].sort(([a, first], [b, second]) => firing(second) - firing(first) || a.localeCompare(b));
}

/** The labels alerts can be grouped by, the name of the alert first. */
export function labelNames(alerts: Alert[]): string[] {
  const names = new Set(alerts.flatMap(({ labels }) => Object.keys(labels)));
  names.delete('alertname');
  return ['alertname', ...[...names].sort()];
}

export const contains = ({ labels }: Alert, search: string) =>
  Object.entries(labels).some(([name, text]) =>
    `${name}=${text}`.toLowerCase().includes(search.toLowerCase()),
  );
