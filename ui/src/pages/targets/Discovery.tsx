import { css } from '@emotion/css';
import { CollapsableSection, FilterInput, TextLink } from '@grafana/ui';
import type { AllTargets } from '~/api/operations';
import type { Labels } from '~/api/prometheus';
import { DataTable, type Column } from '~/app/DataTable';
import { LabelList } from '~/app/LabelList';
import { count } from '~/app/format';
import { useParameter } from '~/app/useParameter';
import { relabelHref } from './url';

/** Of thousands of targets only these are drawn; a filter finds the others. */
const SHOWN_MAX = 200;

interface Found {
  pool: string;
  discovered: Labels;
  /** None of a target that was dropped. */
  labels?: Labels;
}

const COLUMNS: Column<Found>[] = [
  { header: 'Discovered labels', cell: ({ discovered }) => <LabelList labels={discovered} /> },
  {
    header: 'Target labels',
    cell: ({ labels }) => (labels ? <LabelList labels={labels} /> : <em>dropped</em>),
  },
  {
    header: 'Relabelling',
    cell: ({ pool, discovered, labels }) => (
      <TextLink href={relabelHref(pool, discovered)}>{labels ? 'Explain' : 'Why was it dropped?'}</TextLink>
    ),
  },
];

/** What was discovered, and what became of it. */
export function Discovery({ targets }: { targets: AllTargets }) {
  const [search, setSearch] = useParameter('search');
  const needle = search.toLowerCase();
  const pools = byPool(targets);
  return (
    <>
      <div className={FILTER}>
        <FilterInput
          placeholder="Filter by job or label"
          value={search}
          onChange={setSearch}
          escapeRegex={false}
        />
      </div>
      {pools.map(({ name, found, active, dropped }) => {
        const fit = found.filter((each) => text(each).includes(needle));
        if (needle && !fit.length) return null;
        return (
          <CollapsableSection
            key={name}
            label={`${name} (${count(active)} active, ${count(dropped)} dropped)`}
            isOpen={pools.length < 4 || needle !== ''}
          >
            <DataTable
              label={`Discovered for ${name}`}
              rows={fit.slice(0, SHOWN_MAX)}
              columns={COLUMNS}
              rowKey={({ discovered, labels }) => JSON.stringify([discovered, labels])}
              empty="Nothing was discovered."
            />
            {fit.length > SHOWN_MAX && <p>{count(fit.length - SHOWN_MAX)} more: filter to see them.</p>}
          </CollapsableSection>
        );
      })}
    </>
  );
}

const text = ({ pool, discovered, labels = {} }: Found) =>
  [
    pool,
    ...[...Object.entries(discovered), ...Object.entries(labels)].map(([name, value]) => `${name}=${value}`),
  ]
    .join(' ')
    .toLowerCase();

function byPool({ active, dropped, droppedCounts }: AllTargets) {
  const pools = new Map<string, Found[]>(Object.keys(droppedCounts).map((pool) => [pool, []]));
  const add = (found: Found) => pools.set(found.pool, [...(pools.get(found.pool) ?? []), found]);
  for (const { scrapePool: pool, discoveredLabels: discovered, labels } of active)
    add({ pool, discovered, labels });
  for (const { scrapePool: pool, discoveredLabels: discovered } of dropped) add({ pool, discovered });
  return [...pools].map(([name, found]) => ({
    name,
    found,
    active: found.filter(({ labels }) => labels).length,
    dropped: droppedCounts[name] ?? 0,
  }));
}

const FILTER = css({ maxWidth: 480 });
