import { css } from '@emotion/css';
import { Badge, CollapsableSection, FilterInput, Select, TextLink, type BadgeColor } from '@grafana/ui';
import { useMemo } from 'react';
import type { AllTargets, CostlyTarget } from '~/api/operations';
import type { DroppedTarget } from '~/api/prometheus';
import { Choice } from '~/app/Choice';
import { DataTable, type Column } from '~/app/DataTable';
import { LabelList } from '~/app/LabelList';
import { ago, bytes, count, seconds } from '~/app/format';
import { useParameter } from '~/app/useParameter';
import { relabelHref } from './url';

const SHOWN = [
  { label: 'All', value: 'all' },
  { label: 'Unhealthy', value: 'unhealthy' },
  { label: 'Dropped', value: 'dropped' },
];

/** By what the costly are found. */
const ORDERS: Record<string, (target: CostlyTarget) => number> = {
  duration: ({ lastScrapeDuration }) => lastScrapeDuration,
  samples: ({ cost }) => cost.samples,
  size: ({ cost }) => cost.bodyBytes,
  added: ({ cost }) => cost.seriesAdded,
};
const ORDER_OPTIONS = [
  { label: 'Endpoint', value: 'endpoint' },
  { label: 'Slowest first', value: 'duration' },
  { label: 'Most samples first', value: 'samples' },
  { label: 'Largest first', value: 'size' },
  { label: 'Most new series first', value: 'added' },
];

const BADGES: Record<CostlyTarget['health'], BadgeColor> = { up: 'green', down: 'red', unknown: 'orange' };

const COLUMNS: Column<CostlyTarget>[] = [
  {
    header: 'Endpoint',
    cell: ({ scrapeUrl, globalUrl }) => (
      <TextLink href={globalUrl || scrapeUrl} external inline={false}>
        {scrapeUrl}
      </TextLink>
    ),
  },
  {
    header: 'State',
    cell: ({ health, lastError }) => (
      <>
        <Badge text={health} color={BADGES[health]} />
        {lastError && <div className={ERROR}>{lastError}</div>}
      </>
    ),
  },
  { header: 'Labels', cell: ({ labels }) => <LabelList labels={labels} without={['job']} /> },
  {
    header: 'Last scrape',
    cell: ({ lastScrape, scrapeInterval }) => (
      <span title={`every ${scrapeInterval}`}>{ago(lastScrape)}</span>
    ),
    numeric: true,
  },
  {
    header: 'Took',
    cell: ({ lastScrapeDuration, scrapeTimeout }) => (
      <span title={`of at most ${scrapeTimeout}`}>{seconds(lastScrapeDuration)}</span>
    ),
    numeric: true,
  },
  {
    header: 'Samples',
    cell: ({ cost }) => (
      <>
        {count(cost.samplesKept)}
        {cost.samples !== cost.samplesKept && <div className={WEAK}>of {count(cost.samples)}</div>}
      </>
    ),
    numeric: true,
  },
  { header: 'New series', cell: ({ cost }) => count(cost.seriesAdded), numeric: true },
  { header: 'Size', cell: ({ cost }) => bytes(cost.bodyBytes), numeric: true },
  {
    header: 'Relabelling',
    cell: ({ scrapePool, discoveredLabels }) => (
      <TextLink href={relabelHref(scrapePool, discoveredLabels)}>Explain</TextLink>
    ),
  },
];

const DROPPED: Column<DroppedTarget>[] = [
  { header: 'Pool', cell: ({ scrapePool }) => scrapePool },
  { header: 'Discovered labels', cell: ({ discoveredLabels }) => <LabelList labels={discoveredLabels} /> },
  {
    header: 'Why',
    cell: ({ scrapePool, discoveredLabels }) => (
      <TextLink href={relabelHref(scrapePool, discoveredLabels)}>Why was it dropped?</TextLink>
    ),
  },
];

/** All targets by pool, and what keeps others from being scraped. */
export function TargetList({ targets }: { targets: AllTargets }) {
  const [search, setSearch] = useParameter('search');
  const [shown, setShown] = useParameter('show', 'all');
  const [order, setOrder] = useParameter('order', 'endpoint');
  const pools = useMemo(() => byPool(targets.active, search, shown, order), [targets, search, shown, order]);
  const dropped = targets.dropped.filter(
    ({ discoveredLabels, scrapePool }) => contains(discoveredLabels, search) || scrapePool.includes(search),
  );
  const hidden = hiddenCount(targets);
  return (
    <>
      <div className={BAR}>
        <Choice label="Which targets" options={SHOWN} value={shown} onChange={setShown} />
        <Select
          aria-label="Order"
          width={24}
          options={ORDER_OPTIONS}
          value={order}
          onChange={({ value = '' }) => setOrder(value)}
        />
        <div className={FILTER}>
          <FilterInput
            placeholder="Filter by endpoint or label"
            value={search}
            onChange={setSearch}
            escapeRegex={false}
          />
        </div>
      </div>
      <Unusable targets={targets} />
      {shown === 'dropped' ? (
        <>
          <DataTable
            label="Dropped targets"
            rows={dropped}
            columns={DROPPED}
            rowKey={({ scrapePool, discoveredLabels }) => `${scrapePool} ${JSON.stringify(discoveredLabels)}`}
            empty="No target was dropped."
          />
          {hidden > 0 && <p>{count(hidden)} more were dropped and are not kept to be shown.</p>}
        </>
      ) : (
        [...pools].map(([pool, list]) => <Pool key={pool} name={pool} targets={list} />)
      )}
      {shown !== 'dropped' && pools.size === 0 && <p>No target is like that.</p>}
    </>
  );
}

/** Targets that relabelling kept, and that are missing all the same. */
function Unusable({ targets: { unusable } }: { targets: AllTargets }) {
  if (!unusable.length) return null;
  return (
    <section aria-label="Targets that cannot be scraped">
      <h2 className={HEADING}>These cannot be scraped</h2>
      <ul className={LIST}>
        {unusable.map(({ scrapePool, error }) => (
          <li key={`${scrapePool} ${error}`}>
            <strong>{scrapePool}</strong>: <span className={ERROR}>{error}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Pool({ name, targets }: { name: string; targets: CostlyTarget[] }) {
  const up = targets.filter(({ health }) => health === 'up').length;
  const samples = targets.reduce((sum, { cost }) => sum + cost.samplesKept, 0);
  return (
    <CollapsableSection
      label={`${name} (${up}/${targets.length} up, ${count(samples)} samples a scrape)`}
      isOpen
    >
      <DataTable
        label={`Targets of ${name}`}
        rows={targets}
        columns={COLUMNS}
        rowKey={({ scrapeUrl, labels }) => `${scrapeUrl} ${JSON.stringify(labels)}`}
      />
    </CollapsableSection>
  );
}

const hiddenCount = ({ dropped, droppedCounts }: AllTargets) =>
  Object.values(droppedCounts).reduce((sum, each) => sum + each, 0) - dropped.length;

const contains = (labels: Record<string, string>, search: string) =>
  Object.entries(labels).some(([name, value]) =>
    `${name}=${value}`.toLowerCase().includes(search.toLowerCase()),
  );

function byPool(targets: CostlyTarget[], search: string, shown: string, order: string) {
  const pools = new Map<string, CostlyTarget[]>();
  for (const target of targets) {
    if (shown === 'unhealthy' && target.health === 'up') continue;
    if (!target.scrapeUrl.includes(search) && !contains(target.labels, search)) continue;
    pools.set(target.scrapePool, [...(pools.get(target.scrapePool) ?? []), target]);
  }
  const rank = ORDERS[order];
  if (rank) for (const list of pools.values()) list.sort((a, b) => rank(b) - rank(a));
  return pools;
}

const BAR = css({ display: 'flex', flexWrap: 'wrap', gap: 8 });
const FILTER = css({ flex: '1 1 240px', maxWidth: 480 });
const ERROR = css({ maxWidth: 420, overflowWrap: 'anywhere' });
const WEAK = css({ opacity: 0.75 });
const HEADING = css({ fontSize: 16 });
const LIST = css({ paddingLeft: 20 });
