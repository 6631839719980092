import { css } from '@emotion/css';
import { Badge, CollapsableSection, FilterInput, type BadgeColor } from '@grafana/ui';
import type { Rule, RuleAlert } from '~/api/prometheus';
import { Choice } from '~/app/Choice';
import { Code } from '~/app/Code';
import { DataTable, type Column } from '~/app/DataTable';
import { LabelList } from '~/app/LabelList';
import { Page } from '~/app/Page';
import { ago, duration, seconds } from '~/app/format';
import { useLoad } from '~/app/useLoad';
import { useParameter } from '~/app/useParameter';
import { ownLogsUid } from '~/datasources/catalog';
import { exploreHref } from '~/explore/url';
import { filtered, loadRules, stateOf, type Source, type SourcedGroup } from './load';

const REFRESH_MS = 15_000;
/** Alerts of one rule that are listed. */
const ALERTS_MAX = 50;
const BADGES: Record<string, BadgeColor> = {
  failing: 'red',
  firing: 'red',
  pending: 'orange',
  inactive: 'green',
  ok: 'green',
  unknown: 'blue',
};
const CHOICES = ['all', 'firing', 'pending', 'inactive', 'failing'].map((value) => ({
  label: value[0]?.toUpperCase() + value.slice(1),
  value,
}));

/** Rules that record and alert, by group. */
export default function Rules() {
  const { value, error } = useLoad(loadRules, REFRESH_MS);
  const [search, setSearch] = useParameter('search');
  const [state, setState] = useParameter('state', 'all');
  const groups = filtered(value ?? [], search, state);
  return (
    <Page title="Rules" error={error}>
      <div className={BAR}>
        <Choice label="State" options={CHOICES} value={state} onChange={setState} />
        <div className={FILTER}>
          <FilterInput
            placeholder="Filter by group, name or expression"
            value={search}
            onChange={setSearch}
            escapeRegex={false}
          />
        </div>
      </div>
      {groups.map((group) => (
        <Group
          key={`${group.source} ${group.file} ${group.name}`}
          group={group}
          isSought={search !== '' || state !== 'all'}
        />
      ))}
      {value && !groups.length && (
        <p>{value.length ? 'No rule is like that.' : 'There are no rules here.'}</p>
      )}
    </Page>
  );
}

function Group({ group, isSought }: { group: SourcedGroup; isSought: boolean }) {
  const active = group.rules.some((rule) => ['failing', 'firing', 'pending'].includes(stateOf(rule)));
  const isLate = group.evaluationTime > group.interval;
  return (
    <CollapsableSection
      key={String(isSought)}
      label={`${group.name} (${group.rules.length}${group.source === 'logs' ? ', about logs' : ''})`}
      isOpen={active || isSought}
    >
      <p className={ABOUT}>
        {group.file}, every {duration(1000 * group.interval)}, evaluated {ago(group.lastEvaluation)} in{' '}
        {seconds(group.evaluationTime)}
        {isLate && <Badge text="takes longer than its interval" color="orange" />}
      </p>
      <DataTable
        label={`Rules of ${group.name}`}
        rows={group.rules}
        columns={COLUMNS[group.source]}
        rowKey={(rule) => `${rule.name} ${rule.query} ${JSON.stringify(rule.labels)}`}
      />
    </CollapsableSection>
  );
}

const columns = (source: Source): Column<Rule>[] => [
  {
    header: 'State',
    cell: (rule) => <Badge text={stateOf(rule)} color={BADGES[stateOf(rule)] ?? 'blue'} />,
  },
  { header: 'Rule', cell: (rule) => <About rule={rule} source={source} /> },
  { header: 'Evaluated', cell: ({ lastEvaluation }) => ago(lastEvaluation), numeric: true },
  { header: 'Took', cell: ({ evaluationTime }) => seconds(evaluationTime), numeric: true },
];
const COLUMNS = { metrics: columns('metrics'), logs: columns('logs') };

function hrefOf(expr: string, source: Source): string {
  const link = { queries: [{ refId: 'A', expr }], from: 'now-1h', to: 'now' };
  return exploreHref(source === 'logs' ? { ...link, datasource: ownLogsUid() } : link);
}

/** A rule: its name, what it asks, when it tells, what it says and what is wrong with it. */
function About({ rule, source }: { rule: Rule; source: Source }) {
  const { name, query, labels = {}, annotations = {}, lastError, alerts = [], keepFiringFor = 0 } = rule;
  const times = [
    rule.duration ? `for ${duration(1000 * rule.duration)}` : '',
    keepFiringFor ? `keeps firing for ${duration(1000 * keepFiringFor)}` : '',
  ].filter(Boolean);
  return (
    <div className={RULE}>
      <div>
        <strong>{name}</strong> <LabelList labels={labels} />
      </div>
      <a href={hrefOf(query, source)} className={QUERY}>
        <Code>{query}</Code>
      </a>
      {times.length > 0 && <div>{times.join(', ')}</div>}
      {Object.entries(annotations).map(([key, text]) => (
        <div key={key} className={TEXT}>
          <em>{key}: </em>
          {text}
        </div>
      ))}
      {lastError && (
        <div role="alert" className={ERROR}>
          {lastError}
        </div>
      )}
      {alerts.length > 0 && (
        <details>
          <summary>
            {alerts.length} {alerts.length === 1 ? 'alert' : 'alerts'}
          </summary>
          {alerts.slice(0, ALERTS_MAX).map((alert) => (
            <OneAlert key={JSON.stringify(alert.labels)} alert={alert} />
          ))}
          {alerts.length > ALERTS_MAX && <p>{alerts.length - ALERTS_MAX} more</p>}
        </details>
      )}
    </div>
  );
}

function OneAlert({ alert: { state, labels, activeAt, value } }: { alert: RuleAlert }) {
  return (
    <p>
      <Badge text={state} color={BADGES[state] ?? 'blue'} />{' '}
      <LabelList labels={labels} without={['alertname']} /> since {ago(activeAt)}, value {Number(value)}
    </p>
  );
}

const BAR = css({ display: 'flex', flexWrap: 'wrap', gap: 8 });
const FILTER = css({ flex: '1 1 240px', maxWidth: 480 });
const ABOUT = css({
  alignItems: 'center',
  display: 'flex',
  flexWrap: 'wrap',
  gap: 8,
  overflowWrap: 'anywhere',
});
const RULE = css({ display: 'flex', flexDirection: 'column', gap: 4, minWidth: 220 });
const QUERY = css({ overflowWrap: 'anywhere' });
const TEXT = css({ overflowWrap: 'anywhere', whiteSpace: 'pre-line' });
/** The server names every series that is in the way, of which there may be many. */
const ERROR = css({ maxHeight: 120, overflow: 'auto', overflowWrap: 'anywhere' });
