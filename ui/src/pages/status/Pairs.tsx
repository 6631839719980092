import { css } from '@emotion/css';
import { FilterInput } from '@grafana/ui';
import { useCallback, useState } from 'react';
import { ownMetrics } from '~/api/prometheus';
import { DataTable } from '~/app/DataTable';
import { time } from '~/app/format';
import { useLoad } from '~/app/useLoad';

type Told = Record<string, string | number | boolean>;

/** What only programs in Go have. */
const MEANINGLESS = ['GOGC', 'GODEBUG', 'GOMEMLIMIT'];

const NAMES: Record<string, string> = {
  CWD: 'Working directory',
  GOMAXPROCS: 'Threads',
  goVersion: 'Compiler',
  reloadConfigSuccess: 'Last reload succeeded',
  lastConfigTime: 'Configuration loaded',
  corruptionCount: 'Damaged records found',
  startTime: 'Started',
  serverTime: 'Time of the server',
  storageRetention: 'Retention',
  version: 'Prometheus it stands in for',
  buildUser: 'Program',
  hostname: 'Host',
  revision: 'Revision',
  branch: 'Branch',
  buildDate: 'Built',
};

const nameOf = (name: string) => NAMES[name] ?? name;

/** What the program was built from, and how it runs. */
export function Server() {
  const load = useCallback(async (): Promise<Told> => {
    const [build, { goroutineCount: _, ...runtime }] = await Promise.all([
      ownMetrics.get<Told>('status/buildinfo', {}),
      ownMetrics.get<Told>('status/runtimeinfo', {}),
    ]);
    const all = Object.entries({ ...build, ...runtime });
    return Object.fromEntries(all.filter(([name, told]) => told !== '' && !MEANINGLESS.includes(name)));
  }, []);
  return <Pairs label="Server" {...useLoad(load)} />;
}

export function Flags() {
  const [search, setSearch] = useState('');
  const { value, error } = useLoad(useCallback(() => ownMetrics.get<Told>('status/flags', {}), []));
  const shown = Object.entries(value ?? {}).filter(([name, told]) =>
    `${name} ${told}`.toLowerCase().includes(search.toLowerCase()),
  );
  return (
    <>
      <div className={FILTER}>
        <FilterInput placeholder="Filter flags" value={search} onChange={setSearch} escapeRegex={false} />
      </div>
      <Pairs label="Flags" value={Object.fromEntries(shown)} {...(error ? { error } : {})} />
    </>
  );
}

function Pairs({ label, value, error }: { label: string; value?: Told; error?: Error }) {
  if (error) return <p role="alert">{error.message}</p>;
  const rows = Object.entries(value ?? {}).sort(([a], [b]) => nameOf(a).localeCompare(nameOf(b)));
  return (
    <DataTable
      label={label}
      rows={rows}
      rowKey={([name]) => name}
      columns={[
        { header: 'Name', cell: ([name]) => nameOf(name) },
        {
          header: 'Value',
          cell: ([name, told]) =>
            /time$/i.test(name) && typeof told === 'string' ? time(told) : String(told),
        },
      ]}
    />
  );
}

const FILTER = css({ maxWidth: 480 });
