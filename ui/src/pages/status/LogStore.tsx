import { css } from '@emotion/css';
import { Badge, Input } from '@grafana/ui';
import { useCallback, useState } from 'react';
import { operations, type LogDay, type LogStorage } from '~/api/operations';
import { Code } from '~/app/Code';
import { DataTable, type Column } from '~/app/DataTable';
import { Tiles } from '~/app/Tiles';
import { bytes, count } from '~/app/format';
import { useLoad } from '~/app/useLoad';
import { useParameter } from '~/app/useParameter';
import { period } from '../routing/way';

const REFRESH_MS = 10_000;
const DAY_MS = 86_400_000;

const COLUMNS: Column<LogDay>[] = [
  { header: 'Day', cell: ({ day }) => day },
  { header: 'Entries', cell: ({ entries }) => count(entries), numeric: true },
  { header: 'Lines', cell: ({ lineBytes }) => bytes(lineBytes), numeric: true },
  { header: 'Stored', cell: ({ sizeBytes }) => bytes(sizeBytes), numeric: true },
  {
    header: 'Ratio',
    cell: ({ lineBytes, sizeBytes }) => (sizeBytes ? `${(lineBytes / sizeBytes).toFixed(1)}:1` : ''),
    numeric: true,
  },
  { header: 'Objects', cell: ({ objects }) => count(objects), numeric: true },
  {
    header: 'By compactions',
    cell: ({ levels }) =>
      levels
        .map((objects, level) => ({ objects, level }))
        .filter(({ objects }) => objects)
        .map(({ objects, level }) => `${objects}×${level}`)
        .join(', '),
  },
  {
    header: 'Damaged',
    cell: ({ quarantined }) =>
      quarantined ? <Badge text={`${quarantined} set aside`} color="red" /> : 'none',
  },
];

/** Logs in memory, in their log and in the bucket, and how long they are kept. */
export function LogStore() {
  const { value, error } = useLoad(
    useCallback(async () => {
      const now = Date.now();
      const [storage, streams] = await Promise.all([
        operations.logStorage(),
        operations.logStreams(now - DAY_MS, now),
      ]);
      return { ...storage, streams };
    }, []),
    REFRESH_MS,
  );
  if (error) return <p role="alert">{error.message}</p>;
  if (!value) return null;
  return (
    <>
      <Numbers storage={value} />
      <section>
        <h2 className={HEADING}>Bucket: {value.bucket}</h2>
        <DataTable
          label="Days in the bucket"
          rows={value.days}
          columns={COLUMNS}
          rowKey={({ day }) => day}
          empty="Nothing is in the bucket yet."
        />
      </section>
      <Volumes />
      <section>
        <h2 className={HEADING}>Retention</h2>
        <DataTable
          label="Retention"
          rows={value.retention}
          rowKey={({ selector }) => selector}
          columns={[
            {
              header: 'Streams',
              cell: ({ selector }) => (selector === '{}' ? 'all others' : <Code>{selector}</Code>),
            },
            {
              header: 'Kept for',
              cell: ({ seconds }) => (seconds === null ? 'ever' : period(seconds)),
            },
          ]}
        />
      </section>
    </>
  );
}

function Numbers({ storage }: { storage: LogStorage & { streams: number } }) {
  const sum = (of: (day: LogDay) => number) => storage.days.reduce((all, day) => all + of(day), 0);
  return (
    <Tiles
      label="Logs"
      tiles={[
        { label: 'Entries in the bucket', value: count(sum(({ entries }) => entries)) },
        { label: 'Size in the bucket', value: bytes(sum(({ sizeBytes }) => sizeBytes)) },
        { label: 'Streams of the last day', value: count(storage.streams) },
        { label: 'Objects', value: count(sum(({ objects }) => objects)) },
        {
          label: 'In memory',
          value: bytes(storage.memoryBytes),
          note: `of ${bytes(storage.maxMemoryBytes)}, ${count(storage.memoryStreams)} streams`,
        },
        {
          label: 'Write-ahead log',
          value: bytes(storage.walBytes),
          note: `of ${bytes(storage.maxWalBytes)}, ${count(storage.walSegments)} segments`,
        },
        { label: 'Waiting for the bucket', value: count(storage.waiting) },
      ]}
    />
  );
}

/** Which values of a label have the most lines. */
function Volumes() {
  const [label, setLabel] = useParameter('label', 'service_name');
  const [text, setText] = useState(label);
  const load = useCallback(async () => {
    const now = Date.now();
    return operations.logVolume(label, now - DAY_MS, now);
  }, [label]);
  const { value = [], error } = useLoad(load);
  const all = value.reduce((sum, each) => sum + each.bytes, 0);
  return (
    <section>
      <h2 className={HEADING}>Lines of the last day by label</h2>
      <form
        className={FORM}
        onSubmit={(event) => {
          event.preventDefault();
          setLabel(text.trim());
        }}
      >
        <Input
          aria-label="Label"
          width={30}
          value={text}
          onChange={({ currentTarget }) => setText(currentTarget.value)}
          onBlur={() => setLabel(text.trim())}
        />
      </form>
      {error ? (
        <p role="alert">{error.message}</p>
      ) : (
        <DataTable
          label={`Lines by ${label}`}
          rows={value}
          rowKey={({ name }) => name}
          empty="No stream has that label."
          columns={[
            { header: label, cell: ({ name }) => name },
            { header: 'Size', cell: (each) => bytes(each.bytes), numeric: true },
            {
              header: 'Part',
              cell: (each) => `${((100 * each.bytes) / (all || 1)).toFixed(1)} %`,
              numeric: true,
            },
          ]}
        />
      )}
    </section>
  );
}

const HEADING = css({ fontSize: 18, overflowWrap: 'anywhere' });
const FORM = css({ marginBottom: 8 });
