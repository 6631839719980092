import { css } from '@emotion/css';
import { Badge, InlineSwitch, Select } from '@grafana/ui';
import { useCallback } from 'react';
import { routing, type Attempt, type LastTold, type RoutingTree } from '~/api/routing';
import { Code } from '~/app/Code';
import { DataTable, type Column } from '~/app/DataTable';
import { count, time } from '~/app/format';
import { useLoad } from '~/app/useLoad';
import { useParameter } from '~/app/useParameter';

const REFRESH_MS = 10_000;
const SHOWN_MAX = 200;

const ATTEMPTS: Column<Attempt>[] = [
  { header: 'Time', cell: ({ at }) => time(at), nowrap: true },
  {
    header: 'Outcome',
    cell: ({ error, isRepeated }) => (
      <Badge
        text={error === null ? 'accepted' : isRepeated ? 'failed, is tried again' : 'failed'}
        color={error === null ? 'green' : isRepeated ? 'orange' : 'red'}
      />
    ),
  },
  { header: 'Receiver', cell: ({ receiver }) => receiver },
  { header: 'By', cell: ({ integration, attempt }) => `${integration}, attempt ${attempt}` },
  { header: 'Why', cell: ({ reason }) => reason },
  { header: 'Group', cell: ({ groupKey }) => <Code>{groupKey}</Code> },
  { header: 'Error', cell: ({ error }) => error && <div className={ERROR}>{error}</div> },
];

const TOLD: Column<LastTold>[] = [
  { header: 'Time', cell: ({ at }) => time(at), nowrap: true },
  { header: 'Receiver', cell: ({ receiver }) => receiver },
  { header: 'By', cell: ({ integration }) => integration },
  { header: 'Group', cell: ({ groupKey }) => <Code>{groupKey}</Code> },
  { header: 'Firing', cell: ({ firing }) => count(firing), numeric: true },
  { header: 'Resolved', cell: ({ resolved }) => count(resolved), numeric: true },
];

/** Attempts to tell, and what each receiver knows. */
export function History({ receivers }: { receivers: RoutingTree['receivers'] }) {
  const [receiver, setReceiver] = useParameter('receiver');
  const [failed, setFailed] = useParameter('failed');
  const load = useCallback(
    () => routing.notifications({ receiver, failed: failed === 'true', limit: SHOWN_MAX }),
    [receiver, failed],
  );
  const { value, error } = useLoad(load, REFRESH_MS);
  if (error) return <p role="alert">{error.message}</p>;
  if (!value) return null;
  const options = ['', ...receivers.map(({ name }) => name)];
  return (
    <>
      <div className={BAR}>
        <Select
          aria-label="Receiver"
          width={30}
          options={options.map((name) => ({ label: name || 'All receivers', value: name }))}
          value={receiver}
          onChange={({ value: name = '' }) => setReceiver(name)}
        />
        <InlineSwitch
          id="only-failed"
          label="Only what failed"
          showLabel
          value={failed === 'true'}
          onChange={({ currentTarget }) => setFailed(currentTarget.checked ? 'true' : '')}
        />
      </div>
      <section>
        <h2 className={HEADING}>Attempts since the start of the server ({count(value.total.attempts)})</h2>
        <DataTable
          label="Attempts"
          rows={value.attempts}
          columns={ATTEMPTS}
          rowKey={({ at, receiver: to, integration, groupKey, attempt }) =>
            `${at} ${to} ${integration} ${groupKey} ${attempt}`
          }
          empty={failed === 'true' ? 'Nothing failed.' : 'Nothing was told since the start.'}
        />
      </section>
      <section>
        <h2 className={HEADING}>What receivers were told last ({count(value.total.told)})</h2>
        <DataTable
          label="What receivers were told last"
          rows={value.told}
          columns={TOLD}
          rowKey={({ receiver: to, integration, groupKey }) => `${to} ${integration} ${groupKey}`}
          empty="Nobody was told of anything."
        />
      </section>
    </>
  );
}

const BAR = css({ display: 'flex', flexWrap: 'wrap', gap: 8 });
const ERROR = css({ minWidth: 200, overflowWrap: 'anywhere' });
const HEADING = css({ fontSize: 18 });
