import { css } from '@emotion/css';
import {
  Badge,
  CollapsableSection,
  FilterInput,
  RadioButtonGroup,
  TextLink,
  type BadgeColor,
} from '@grafana/ui';
import { useCallback, useMemo, useState } from 'react';
import { ownMetrics, type DroppedTarget, type Target } from '~/api/prometheus';
import { DataTable, type Column } from '~/app/DataTable';
import { LabelList } from '~/app/LabelList';
import { Page } from '~/app/Page';
import { ago, seconds } from '~/app/format';
import { useLoad } from '~/app/useLoad';

type Shown = 'all' | 'unhealthy' | 'dropped';

const CHOICES: { label: string; value: Shown }[] = [
  { label: 'All', value: 'all' },
  { label: 'Unhealthy', value: 'unhealthy' },
  { label: 'Dropped', value: 'dropped' },
];
const REFRESH_MS = 10_000;

const BADGES: Record<Target['health'], BadgeColor> = { up: 'green', down: 'red', unknown: 'orange' };

const COLUMNS: Column<Target>[] = [
  {
    header: 'Endpoint',
    cell: ({ scrapeUrl, globalUrl }) => (
      <TextLink href={globalUrl || scrapeUrl} external inline={false}>
        {scrapeUrl}
      </TextLink>
    ),
  },
  { header: 'State', cell: ({ health }) => <Badge text={health} color={BADGES[health]} /> },
  { header: 'Labels', cell: ({ labels }) => <LabelList labels={labels} without={['job']} /> },
  { header: 'Last scrape', cell: ({ lastScrape }) => ago(lastScrape), numeric: true },
  { header: 'Took', cell: ({ lastScrapeDuration }) => seconds(lastScrapeDuration), numeric: true },
  { header: 'Error', cell: ({ lastError }) => lastError },
];

const DROPPED: Column<DroppedTarget>[] = [
  { header: 'Pool', cell: ({ scrapePool }) => scrapePool },
  { header: 'Discovered labels', cell: ({ discoveredLabels }) => <LabelList labels={discoveredLabels} /> },
];

/** What is scraped, how that goes, and what was found but is not scraped. */
export default function Targets() {
  const { value, error } = useLoad(
    useCallback(() => ownMetrics.targets(), []),
    REFRESH_MS,
  );
  const [search, setSearch] = useState('');
  const [shown, setShown] = useState<Shown>('all');
  const pools = useMemo(() => byPool(value?.activeTargets ?? [], search, shown), [value, search, shown]);
  const dropped = (value?.droppedTargets ?? []).filter(({ discoveredLabels }) =>
    contains(discoveredLabels, search),
  );
  return (
    <Page title="Targets" error={error}>
      <div className={BAR}>
        <RadioButtonGroup options={CHOICES} value={shown} onChange={setShown} />
        <FilterInput
          placeholder="Filter by endpoint or label"
          value={search}
          onChange={setSearch}
          escapeRegex={false}
        />
      </div>
      {shown === 'dropped' ? (
        <DataTable
          label="Dropped targets"
          rows={dropped}
          columns={DROPPED}
          rowKey={({ discoveredLabels }) => JSON.stringify(discoveredLabels)}
          empty="No target was dropped."
        />
      ) : (
        [...pools].map(([pool, targets]) => <Pool key={pool} name={pool} targets={targets} />)
      )}
    </Page>
  );
}

function Pool({ name, targets }: { name: string; targets: Target[] }) {
  const up = targets.filter(({ health }) => health === 'up').length;
  return (
    <CollapsableSection label={`${name} (${up}/${targets.length} up)`} isOpen>
      <DataTable
        label={`Targets of ${name}`}
        rows={targets}
        columns={COLUMNS}
        rowKey={({ scrapeUrl, labels }) => `${scrapeUrl} ${JSON.stringify(labels)}`}
      />
    </CollapsableSection>
  );
}

const contains = (labels: Record<string, string>, search: string) =>
  Object.entries(labels).some(([name, value]) =>
    `${name}=${value}`.toLowerCase().includes(search.toLowerCase()),
  );

function byPool(targets: Target[], search: string, shown: Shown): Map<string, Target[]> {
  const pools = new Map<string, Target[]>();
  for (const target of targets) {
    if (shown === 'unhealthy' && target.health === 'up') continue;
    if (!target.scrapeUrl.includes(search) && !contains(target.labels, search)) continue;
    pools.set(target.scrapePool, [...(pools.get(target.scrapePool) ?? []), target]);
  }
  return pools;
}

const BAR = css({ display: 'flex', flexWrap: 'wrap', gap: 8, maxWidth: 800 });
