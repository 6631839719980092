import { css } from '@emotion/css';
import { useCallback } from 'react';
import { ownMetrics, type TsdbStatus } from '~/api/prometheus';
import { DataTable } from '~/app/DataTable';
import { bytes, count, time } from '~/app/format';
import { useLoad } from '~/app/useLoad';

/** What is in memory, the most costly names first. */
export function Series() {
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
    <section className={CELL}>
      <h2 className={HEADING}>{title}</h2>
      <DataTable
        label={title}
        rows={rows}
        rowKey={({ name }) => name}
        columns={[
          { header: 'Name', cell: ({ name }) => <span className={NAME}>{name}</span> },
          { header: 'Value', cell: ({ value }) => format(value), numeric: true },
        ]}
      />
    </section>
  );
}

const GRID = css({
  display: 'grid',
  gap: 24,
  gridTemplateColumns: 'repeat(auto-fit, minmax(min(360px, 100%), 1fr))',
});
const CELL = css({ minWidth: 0 });
const HEADING = css({ fontSize: 18 });
const NAME = css({ overflowWrap: 'anywhere' });
