import { useCallback } from 'react';
import { operations, type Block } from '~/api/operations';
import { DataTable, type Column } from '~/app/DataTable';
import { count, duration, time } from '~/app/format';
import { useLoad } from '~/app/useLoad';

const COLUMNS: Column<Block>[] = [
  { header: 'Block', cell: ({ ulid }) => <code>{ulid}</code> },
  { header: 'From', cell: ({ minTime }) => time(minTime) },
  { header: 'To', cell: ({ maxTime }) => time(maxTime) },
  { header: 'Length', cell: ({ minTime, maxTime }) => duration(maxTime - minTime), numeric: true },
  { header: 'Level', cell: ({ compaction }) => compaction.level, numeric: true },
  { header: 'Series', cell: ({ stats }) => count(stats.numSeries ?? 0), numeric: true },
  { header: 'Samples', cell: ({ stats }) => count(stats.numSamples ?? 0), numeric: true },
  { header: 'Chunks', cell: ({ stats }) => count(stats.numChunks ?? 0), numeric: true },
  { header: 'Deletions', cell: ({ stats }) => count(stats.numTombstones ?? 0), numeric: true },
];

/** Metrics on disk. */
export function Blocks() {
  const { value, error } = useLoad(useCallback(() => operations.blocks(), []));
  if (error) return <p role="alert">{error.message}</p>;
  if (!value) return null;
  const samples = value.reduce((sum, { stats }) => sum + (stats.numSamples ?? 0), 0);
  return (
    <>
      <p>
        {count(value.length)} blocks with {count(samples)} samples. What is younger is in memory and in the
        log.
      </p>
      <DataTable
        label="Blocks"
        rows={[...value].sort((a, b) => b.minTime - a.minTime)}
        columns={COLUMNS}
        rowKey={({ ulid }) => ulid}
        empty="There is no block yet: the first is written when two hours of samples and an hour more are there."
      />
    </>
  );
}
