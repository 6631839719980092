import { css } from '@emotion/css';
import { Badge, CollapsableSection, FilterInput, TextLink, type BadgeColor } from '@grafana/ui';
import { useCallback, useState } from 'react';
import { ownMetrics, type Rule, type RuleGroup } from '~/api/prometheus';
import { DataTable, type Column } from '~/app/DataTable';
import { LabelList } from '~/app/LabelList';
import { Page } from '~/app/Page';
import { ago, seconds } from '~/app/format';
import { useLoad } from '~/app/useLoad';
import { exploreHref } from '~/explore/url';

const REFRESH_MS = 15_000;
const BADGES: Record<string, BadgeColor> = {
  firing: 'red',
  pending: 'orange',
  inactive: 'green',
  ok: 'green',
  err: 'red',
  unknown: 'blue',
};

const COLUMNS: Column<Rule>[] = [
  {
    header: 'State',
    cell: ({ state, health }) => <Badge text={state ?? health} color={BADGES[state ?? health] ?? 'blue'} />,
  },
  {
    header: 'Rule',
    cell: ({ name, labels = {}, annotations = {}, lastError }) => (
      <>
        <strong>{name}</strong> <LabelList labels={labels} />
        <div>{annotations.summary ?? annotations.description}</div>
        {lastError && <div role="alert">{lastError}</div>}
      </>
    ),
  },
  {
    header: 'Expression',
    cell: ({ query }) => (
      <TextLink
        href={exploreHref({ queries: [{ refId: 'A', expr: query }], from: 'now-1h', to: 'now' })}
        inline={false}
        color="primary"
      >
        <code className={css({ whiteSpace: 'pre-wrap' })}>{query}</code>
      </TextLink>
    ),
  },
  { header: 'For', cell: ({ duration }) => (duration ? seconds(duration) : ''), numeric: true },
  { header: 'Evaluated', cell: ({ lastEvaluation }) => ago(lastEvaluation), numeric: true },
  { header: 'Took', cell: ({ evaluationTime }) => seconds(evaluationTime), numeric: true },
];

/** Rules that record and alert, by group. */
export default function Rules() {
  const { value, error } = useLoad(
    useCallback(() => ownMetrics.rules(), []),
    REFRESH_MS,
  );
  const [search, setSearch] = useState('');
  const needle = search.toLowerCase();
  const groups = (value?.groups ?? [])
    .map((group) => ({
      ...group,
      rules: group.rules.filter(({ name, query }) =>
        `${group.name} ${name} ${query}`.toLowerCase().includes(needle),
      ),
    }))
    .filter(({ rules }) => rules.length);
  return (
    <Page title="Rules" error={error}>
      <FilterInput
        placeholder="Filter by name or expression"
        value={search}
        onChange={setSearch}
        escapeRegex={false}
      />
      {groups.map((group) => (
        <Group key={`${group.file} ${group.name}`} group={group} />
      ))}
      {value && !groups.length && <p>There are no rules here.</p>}
    </Page>
  );
}

function Group({ group }: { group: RuleGroup }) {
  const failing = group.rules.some(({ health, state }) => health === 'err' || state === 'firing');
  return (
    <CollapsableSection
      label={`${group.name} (${group.rules.length}, every ${seconds(group.interval)})`}
      isOpen={failing}
    >
      <DataTable
        label={`Rules of ${group.name}`}
        rows={group.rules}
        columns={COLUMNS}
        rowKey={(rule) => `${rule.name} ${rule.query} ${JSON.stringify(rule.labels)}`}
      />
    </CollapsableSection>
  );
}
