import { css } from '@emotion/css';
import {
  Badge,
  CollapsableSection,
  FilterInput,
  LinkButton,
  Select,
  TextLink,
  type BadgeColor,
} from '@grafana/ui';
import { useMemo } from 'react';
import { encodeParameters } from '~/api/http';
import type { Labels } from '~/api/prometheus';
import { may } from '~/api/session';
import { Choice } from '~/app/Choice';
import { DataTable, type Column } from '~/app/DataTable';
import { LabelList } from '~/app/LabelList';
import { Page } from '~/app/Page';
import { ago } from '~/app/format';
import { useLoad } from '~/app/useLoad';
import { useParameter } from '~/app/useParameter';
import { silenceHref } from '../silences/url';
import { contains, grouped, labelNames, loadAlerts, type Alert, type State } from './load';

const REFRESH_MS = 10_000;
const NONE: Alert[] = [];
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
    cell: (alert) => <About alert={alert} />,
  },
  { header: 'Labels', cell: ({ labels }) => <LabelList labels={labels} without={['alertname']} /> },
  { header: 'Since', cell: ({ since }) => ago(since), numeric: true },
  {
    header: 'Told',
    cell: ({ labels, receivers }) => (
      <TextLink href={explainHref(labels)}>{receivers.join(', ') || 'Who would be?'}</TextLink>
    ),
  },
  {
    header: 'Silence',
    cell: ({ labels, state, silencedBy }) =>
      state === 'silenced' ? (
        <TextLink href={`/silences#${silencedBy[0] ?? ''}`}>Show silence</TextLink>
      ) : (
        <SilenceButton labels={labels} />
      ),
  },
];

/** Annotations that are read at a glance; the others are read when somebody looks closer. */
const READ_FIRST = ['summary', 'message'];

/** What an alert says, and everything that is known of it besides. */
function About({ alert: { labels, annotations, value, generatorUrl } }: { alert: Alert }) {
  const first = READ_FIRST.find((name) => annotations[name]);
  const rest = Object.entries(annotations).filter(([name]) => name !== first && name !== 'runbook_url');
  const { runbook_url: runbook = '' } = annotations;
  return (
    <>
      <strong>{labels.alertname}</strong>
      {first && <div className={TEXT}>{annotations[first]}</div>}
      {rest.length > 0 && (
        <details open={!first}>
          <summary>{rest.map(([name]) => name).join(', ')}</summary>
          {rest.map(([name, text]) => (
            <div key={name} className={TEXT}>
              {rest.length > 1 && <em>{name}: </em>}
              {text}
            </div>
          ))}
        </details>
      )}
      <div className={LINKS}>
        {value !== undefined && <span>value {Number(value)}</span>}
        {isWeb(generatorUrl) && (
          <TextLink href={generatorUrl} external>
            Source
          </TextLink>
        )}
        {isWeb(runbook) && (
          <TextLink href={runbook} external>
            Runbook
          </TextLink>
        )}
      </div>
    </>
  );
}

/** Only such addresses lead anywhere; whoever wrote a rule may have written something else. */
const isWeb = (address: string | undefined): address is string => /^https?:\/\//i.test(address ?? '');

/** What fires, and what is held back and why. */
export default function Alerts() {
  const { value: loaded, error } = useLoad(loadAlerts, REFRESH_MS);
  const value = loaded ?? NONE;
  const [search, setSearch] = useParameter('search');
  const [state, setState] = useParameter('state', 'all');
  const [by, setBy] = useParameter('by');
  const shown = useMemo(
    () => value.filter((alert) => (state === 'all' || alert.state === state) && contains(alert, search)),
    [value, state, search],
  );
  return (
    <Page title="Alerts" error={error}>
      <div className={BAR}>
        <Choice label="State" options={CHOICES} value={state} onChange={setState} />
        <Select
          aria-label="Group by"
          width={24}
          options={[
            { label: 'No groups', value: '' },
            ...labelNames(value).map((name) => ({ label: `By ${name}`, value: name })),
          ]}
          value={by}
          onChange={({ value: name = '' }) => setBy(name)}
        />
        <div className={FILTER}>
          <FilterInput
            placeholder="Filter by label"
            value={search}
            onChange={setSearch}
            escapeRegex={false}
          />
        </div>
      </div>
      {/* Of what could not be loaded nobody can say that it is empty. */}
      {(loaded ? grouped(shown, by) : []).map(([group, alerts]) =>
        by === '' ? (
          <AlertTable
            key=""
            label="Alerts"
            alerts={alerts}
            empty={value.length ? 'No alert is like that.' : 'No alert fires.'}
          />
        ) : (
          <CollapsableSection
            key={group}
            isOpen
            label={`${by}="${group}" (${alerts.length})`}
            headerDataTestId={`group-${group}`}
          >
            <AlertTable label={`Alerts with ${by}="${group}"`} alerts={alerts} />
            {group !== '' && (
              <div className={BELOW}>
                <SilenceButton labels={{ [by]: group }} all />
              </div>
            )}
          </CollapsableSection>
        ),
      )}
    </Page>
  );
}

function AlertTable({ label, alerts, empty = '' }: { label: string; alerts: Alert[]; empty?: string }) {
  return <DataTable label={label} rows={alerts} columns={COLUMNS} rowKey={({ key }) => key} empty={empty} />;
}

function SilenceButton({ labels, all = false }: { labels: Labels; all?: boolean }) {
  return (
    <LinkButton
      size="sm"
      variant="secondary"
      icon="bell-slash"
      href={silenceHref(labels)}
      disabled={!may('editor')}
    >
      {all ? 'Silence all of these' : 'Silence'}
    </LinkButton>
  );
}

/** The page that tells who is told of such an alert, and why. */
function explainHref(labels: Labels): string {
  const matchers = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return `/routing?${encodeParameters({ labels: matchers.join(', ') })}`;
}

const TEXT = css({ overflowWrap: 'anywhere', whiteSpace: 'pre-line' });
const LINKS = css({ display: 'flex', flexWrap: 'wrap', gap: 12 });
const BAR = css({ display: 'flex', flexWrap: 'wrap', gap: 8 });
const FILTER = css({ flex: '1 1 240px', maxWidth: 480 });
const BELOW = css({ paddingTop: 8 });
