import { css } from '@emotion/css';
import { Tab, TabContent, TabsBar } from '@grafana/ui';
import { locationService } from '@grafana/runtime';
import { useCallback } from 'react';
import { useLocation } from 'react-router-dom';
import { ownMetrics, type TsdbStatus } from '~/api/prometheus';
import { DataTable } from '~/app/DataTable';
import { Page } from '~/app/Page';
import { bytes, count, time } from '~/app/format';
import { useLoad } from '~/app/useLoad';

const TABS = { server: 'Server', flags: 'Flags', config: 'Configuration', tsdb: 'Series' };
type TabName = keyof typeof TABS;

/** What this server is, how it was started, and what its storage holds. */
export default function Status() {
  const { search } = useLocation();
  const asked = new URLSearchParams(search).get('tab') ?? 'server';
  const active: TabName = asked in TABS ? (asked as TabName) : 'server';
  return (
    <Page title="Status">
      <TabsBar>
        {Object.entries(TABS).map(([name, label]) => (
          <Tab
            key={name}
            label={label}
            active={name === active}
            onChangeTab={() => locationService.partial({ tab: name })}
          />
        ))}
      </TabsBar>
      <TabContent className={CONTENT}>
        {active === 'server' && <Server />}
        {active === 'flags' && <Flags />}
        {active === 'config' && <Config />}
        {active === 'tsdb' && <Series />}
      </TabContent>
    </Page>
  );
}

type Told = Record<string, string | number | boolean>;

function Server() {
  const load = useCallback(async (): Promise<Told> => {
    const [build, runtime] = await Promise.all([
      ownMetrics.get<Told>('status/buildinfo', {}),
      ownMetrics.get<Told>('status/runtimeinfo', {}),
    ]);
    return { ...build, ...runtime };
  }, []);
  return <Pairs label="Server" {...useLoad(load)} />;
}

function Flags() {
  return (
    <Pairs label="Flags" {...useLoad(useCallback(() => ownMetrics.get<Told>('status/flags', {}), []))} />
  );
}

function Pairs({ label, value, error }: { label: string; value?: Told; error?: Error }) {
  if (error) return <p role="alert">{error.message}</p>;
  const rows = Object.entries(value ?? {}).sort(([a], [b]) => a.localeCompare(b));
  return (
    <DataTable
      label={label}
      rows={rows}
      rowKey={([name]) => name}
      columns={[
        { header: 'Name', cell: ([name]) => name },
        {
          header: 'Value',
          cell: ([name, told]) =>
            /time$/i.test(name) && typeof told === 'string' ? time(told) : String(told),
        },
      ]}
    />
  );
}

function Config() {
  const { value, error } = useLoad(
    useCallback(() => ownMetrics.get<{ yaml: string }>('status/config', {}), []),
  );
  if (error) return <p role="alert">{error.message}</p>;
  return <pre>{value?.yaml}</pre>;
}

/** The most costly names first: a page that says where memory goes. */
function Series() {
  const { value, error } = useLoad(
    useCallback(() => ownMetrics.get<TsdbStatus>('status/tsdb', { limit: 20 }), []),
  );
  if (error) return <p role="alert">{error.message}</p>;
  if (!value) return null;
  const { headStats } = value;
  return (
    <>
      <p>
        {count(headStats.numSeries)} series, {count(headStats.chunkCount)} chunks, from{' '}
        {time(headStats.minTime)} to {time(headStats.maxTime)}
      </p>
      <div className={GRID}>
        <Top title="Series by metric" rows={value.seriesCountByMetricName} format={count} />
        <Top title="Values by label" rows={value.labelValueCountByLabelName} format={count} />
        <Top title="Series by label pair" rows={value.seriesCountByLabelValuePair} format={count} />
        <Top title="Memory by label" rows={value.memoryInBytesByLabelName} format={bytes} />
      </div>
    </>
  );
}

interface TopProps {
  title: string;
  rows: { name: string; value: number }[];
  format: (value: number) => string;
}

function Top({ title, rows, format }: TopProps) {
  return (
    <section>
      <h2>{title}</h2>
      <DataTable
        label={title}
        rows={rows}
        rowKey={({ name }) => name}
        columns={[
          { header: 'Name', cell: ({ name }) => name },
          { header: 'Value', cell: ({ value }) => format(value), numeric: true },
        ]}
      />
    </section>
  );
}

const CONTENT = css({ paddingTop: 16 });
const GRID = css({ display: 'grid', gap: 24, gridTemplateColumns: 'repeat(auto-fit, minmax(360px, 1fr))' });
