import { css } from '@emotion/css';
import { Badge, Button, TextLink } from '@grafana/ui';
import { useCallback, useRef, useState } from 'react';
import { operations, type QueryView } from '~/api/operations';
import { may } from '~/api/session';
import { Code } from '~/app/Code';
import { DataTable, type Column } from '~/app/DataTable';
import { Tiles, type Tile } from '~/app/Tiles';
import { bytes, count, duration, seconds, time } from '~/app/format';
import { useLoad } from '~/app/useLoad';
import { ownLogsUid } from '~/datasources/catalog';
import { exploreHref } from '~/explore/url';
import { PATTERN, counted, tiles, type Counted } from './load';

const REFRESH_MS = 3000;

/** What the server takes in and what it is asked, now. */
export function Load() {
  const before = useRef<Counted>(undefined);
  const load = useCallback(async () => {
    const [families, queries] = await Promise.all([operations.selfMetrics(PATTERN), operations.queries()]);
    const now = counted(families, Date.now());
    const shown = tiles(before.current, now);
    before.current = now;
    return { shown, queries };
  }, []);
  const { value, error, reload } = useLoad(load, REFRESH_MS);
  const [failure, setFailure] = useState<Error>();
  const end = async ({ id }: QueryView) => {
    try {
      setFailure(undefined);
      await operations.endQuery(id);
      reload();
    } catch (reason) {
      setFailure(reason as Error);
    }
  };
  if (error) return <p role="alert">{error.message}</p>;
  if (!value) return null;
  const { queries, shown } = value;
  const own: Tile[] = [
    {
      label: 'Queries running',
      value: count(queries.slots - queries.freeSlots),
      note: `of at most ${count(queries.slots)}`,
    },
    {
      label: 'Memory of queries',
      value: bytes(queries.memoryBytes),
      note: `of at most ${bytes(queries.maxMemoryBytes)}`,
    },
  ];
  return (
    <>
      <Tiles label="Load" tiles={[...shown, ...own]} />
      <section>
        <h2 className={HEADING}>Running now</h2>
        {failure && <p role="alert">{failure.message}</p>}
        <DataTable
          label="Queries that run"
          rows={queries.running}
          columns={[...COLUMNS, ending(end)]}
          rowKey={({ id }) => String(id)}
          empty="No query runs."
        />
      </section>
      <section>
        <h2 className={HEADING}>Slowest of the last hour</h2>
        <DataTable
          label="Slowest queries"
          rows={queries.slowest}
          columns={[...COLUMNS, ...ENDED]}
          rowKey={({ id }) => String(id)}
          empty="No query ended within the last hour."
        />
      </section>
    </>
  );
}

const COLUMNS: Column<QueryView>[] = [
  {
    header: 'Query',
    cell: (view) => (
      <TextLink href={hrefOf(view)} inline={false}>
        <Code>{view.query}</Code>
      </TextLink>
    ),
  },
  { header: 'Of', cell: (view) => <RangeOf view={view} /> },
  { header: 'Asked by', cell: ({ asker }) => asker ?? '' },
  { header: 'Began', cell: ({ startedMs }) => time(startedMs), nowrap: true },
  {
    header: 'Time',
    cell: ({ seconds: took, isWaiting }) => (
      <>
        {seconds(took)} {isWaiting && <Badge text="waits for its turn" color="orange" />}
      </>
    ),
    numeric: true,
  },
  { header: 'Memory', cell: ({ peakBytes }) => bytes(peakBytes), numeric: true },
  { header: 'Read', cell: read, nowrap: true },
];

const ENDED: Column<QueryView>[] = [{ header: 'Failed', cell: ({ error }) => error ?? '' }];

const ending = (end: (view: QueryView) => Promise<void>): Column<QueryView> => ({
  header: 'Action',
  cell: (view) => (
    <Button
      size="sm"
      variant="destructive"
      icon="times"
      disabled={!may('admin')}
      onClick={() => void end(view)}
    >
      End
    </Button>
  ),
});

function read({ language, samples, lines, bytes: size }: QueryView): string {
  return language === 'logql' ? `${count(lines)} lines, ${bytes(size)}` : `${count(samples)} samples`;
}

function RangeOf({ view: { kind, startMs = 0, endMs = 0, stepMs = 0 } }: { view: QueryView }) {
  if (kind === 'instant') return 'a moment';
  if (kind === 'lines') return duration(endMs - startMs);
  return `${duration(endMs - startMs)} every ${duration(stepMs)}`;
}

function hrefOf({ query, language, kind, startMs, endMs }: QueryView): string {
  const isRange = kind !== 'instant' && startMs !== undefined && endMs !== undefined;
  return exploreHref({
    datasource: language === 'logql' ? ownLogsUid() : undefined,
    queries: [{ refId: 'A', expr: query }],
    from: isRange ? String(startMs) : 'now-1h',
    to: isRange ? String(endMs) : 'now',
  });
}

const HEADING = css({ fontSize: 18 });
