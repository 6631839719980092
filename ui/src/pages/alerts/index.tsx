import { css } from '@emotion/css';
import { Badge, FilterInput, LinkButton, RadioButtonGroup, TextLink, type BadgeColor } from '@grafana/ui';
import { useMemo, useState } from 'react';
import { ownAlertmanager, type GettableAlert } from '~/api/alertmanager';
import { ownMetrics, type Labels } from '~/api/prometheus';
import { may } from '~/api/session';
import { DataTable, type Column } from '~/app/DataTable';
import { LabelList } from '~/app/LabelList';
import { Page } from '~/app/Page';
import { ago } from '~/app/format';
import { useLoad } from '~/app/useLoad';
import { silenceHref } from '../silences/url';

type State = 'firing' | 'pending' | 'silenced' | 'inhibited';

/** An alert as a rule knows it, an Alertmanager, or both. */
interface Alert {
  key: string;
  state: State;
  labels: Labels;
  annotations: Labels;
  since: string;
  receivers: string[];
  silencedBy: string[];
}

const REFRESH_MS = 10_000;
const BADGES: Record<State, BadgeColor> = {
  firing: 'red',
  pending: 'orange',
  silenced: 'purple',
  inhibited: 'blue',
};
const CHOICES = [
  { label: 'All', value: 'all' },
  { label: 'Firing', value: 'firing' },
  { label: 'Pending', value: 'pending' },
  { label: 'Silenced', value: 'silenced' },
  { label: 'Inhibited', value: 'inhibited' },
];

const COLUMNS: Column<Alert>[] = [
  { header: 'State', cell: ({ state }) => <Badge text={state} color={BADGES[state]} /> },
  {
    header: 'Alert',
    cell: ({ labels, annotations }) => (
      <>
        <strong>{labels.alertname}</strong>
        <div>{annotations.summary ?? annotations.description ?? annotations.message}</div>
        {annotations.runbook_url && /^https?:/.test(annotations.runbook_url) && (
          <TextLink href={annotations.runbook_url} external>
            Runbook
          </TextLink>
        )}
      </>
    ),
  },
  { header: 'Labels', cell: ({ labels }) => <LabelList labels={labels} without={['alertname']} /> },
  { header: 'Since', cell: ({ since }) => ago(since), numeric: true },
  { header: 'Told', cell: ({ receivers }) => receivers.join(', ') },
  {
    header: 'Silence',
    cell: ({ labels, state, silencedBy }) =>
      state === 'silenced' ? (
        <TextLink href={`/silences#${silencedBy[0] ?? ''}`}>Show silence</TextLink>
      ) : (
        <LinkButton
          size="sm"
          variant="secondary"
          icon="bell-slash"
          href={silenceHref(labels)}
          disabled={!may('editor')}
        >
          Silence
        </LinkButton>
      ),
  },
];

/** What fires, and what is held back and why. */
export default function Alerts() {
  const { value = [], error } = useLoad(loadAlerts, REFRESH_MS);
  const [search, setSearch] = useState('');
  const [state, setState] = useState('all');
  const shown = useMemo(
    () => value.filter((alert) => (state === 'all' || alert.state === state) && contains(alert, search)),
    [value, state, search],
  );
  return (
    <Page title="Alerts" error={error}>
      <div className={BAR}>
        <RadioButtonGroup options={CHOICES} value={state} onChange={setState} />
        <FilterInput placeholder="Filter by label" value={search} onChange={setSearch} escapeRegex={false} />
      </div>
      <DataTable
        label="Alerts"
        rows={shown}
        columns={COLUMNS}
        rowKey={({ key }) => key}
        empty="No alert fires."
      />
    </Page>
  );
}

/** Alerts of rules, with what the Alertmanager does about them; one that is not there takes nothing away. */
async function loadAlerts(): Promise<Alert[]> {
  const [rules, told] = await Promise.all([
    ownMetrics.get<{ alerts: { labels: Labels; annotations: Labels; state: string; activeAt: string }[] }>(
      'alerts',
      {},
    ),
    ownAlertmanager.alerts().catch((): GettableAlert[] => []),
  ]);
  const byLabels = new Map<string, Alert>();
  for (const { labels, annotations, state, activeAt } of rules.alerts) {
    const alert: Alert = {
      key: keyOf(labels),
      state: state === 'pending' ? 'pending' : 'firing',
      labels,
      annotations,
      since: activeAt,
      receivers: [],
      silencedBy: [],
    };
    byLabels.set(alert.key, alert);
  }
  for (const { labels, annotations, startsAt, receivers, status } of told) {
    const key = keyOf(labels);
    const state = status.silencedBy.length ? 'silenced' : status.inhibitedBy.length ? 'inhibited' : 'firing';
    const names = receivers.map(({ name }) => name);
    byLabels.set(key, {
      key,
      labels,
      annotations,
      since: startsAt,
      receivers: names,
      ...byLabels.get(key),
      ...{ state, silencedBy: status.silencedBy },
      ...(names.length ? { receivers: names } : {}),
    });
  }
  const order: State[] = ['firing', 'pending', 'inhibited', 'silenced'];
  return [...byLabels.values()].sort(
    (a, b) => order.indexOf(a.state) - order.indexOf(b.state) || (a.since < b.since ? 1 : -1),
  );
}

const keyOf = (labels: Labels) => JSON.stringify(Object.entries(labels).sort());

const contains = ({ labels }: Alert, search: string) =>
  Object.entries(labels).some(([name, text]) =>
    `${name}=${text}`.toLowerCase().includes(search.toLowerCase()),
  );

const BAR = css({ display: 'flex', flexWrap: 'wrap', gap: 8, maxWidth: 900 });
