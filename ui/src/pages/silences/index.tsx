import { css } from '@emotion/css';
import { Badge, Button, ConfirmModal, FilterInput, LinkButton, type BadgeColor } from '@grafana/ui';
import { useCallback, useState } from 'react';
import { ownAlertmanager, writeMatcher, type GettableAlert, type Silence } from '~/api/alertmanager';
import { encodeParameters } from '~/api/http';
import { may } from '~/api/session';
import { Choice } from '~/app/Choice';
import { Code } from '~/app/Code';
import { DataTable, type Column } from '~/app/DataTable';
import { Page } from '~/app/Page';
import { count, time } from '~/app/format';
import { useLoad } from '~/app/useLoad';
import { useParameter } from '~/app/useParameter';
import { editHref } from './url';

type State = Silence['status']['state'];

const REFRESH_MS = 15_000;
const BADGES: Record<State, BadgeColor> = { active: 'green', pending: 'orange', expired: 'blue' };
const ORDER: State[] = ['active', 'pending', 'expired'];
const CHOICES = [
  { label: 'All', value: 'all' },
  { label: 'Active', value: 'active' },
  { label: 'Pending', value: 'pending' },
  { label: 'Expired', value: 'expired' },
];

/** Silences there are, were and will be. */
export default function Silences() {
  const { value, error, reload } = useLoad(load, REFRESH_MS);
  const [state, setState] = useParameter('state', 'all');
  const [search, setSearch] = useParameter('search');
  const [ending, setEnding] = useState<Silence>();
  const [failure, setFailure] = useState<Error>();
  const expire = useCallback(
    async ({ id }: Silence) => {
      setEnding(undefined);
      try {
        await ownAlertmanager.expire(id);
        reload();
      } catch (reason) {
        setFailure(reason as Error);
      }
    },
    [reload],
  );
  const rows = sorted(value?.silences ?? []).filter(
    (silence) => (state === 'all' || silence.status.state === state) && told(silence).includes(search),
  );
  return (
    <Page
      title="Silences"
      error={failure ?? error}
      actions={
        <LinkButton icon="plus" href="/silences/new" disabled={!may('editor')}>
          New silence
        </LinkButton>
      }
    >
      <div className={BAR}>
        <Choice label="State" options={CHOICES} value={state} onChange={setState} />
        <div className={FILTER}>
          <FilterInput
            placeholder="Filter by matcher, author or comment"
            value={search}
            onChange={setSearch}
            escapeRegex={false}
          />
        </div>
      </div>
      {value && (
        <DataTable
          label="Silences"
          rows={rows}
          columns={columns(value.held, setEnding)}
          rowKey={({ id }) => id}
          empty={value.silences.length ? 'No silence is like that.' : 'Nothing is silenced.'}
        />
      )}
      <ConfirmModal
        isOpen={ending !== undefined}
        title="End this silence?"
        body={`What it silences is told again: ${ending?.matchers.map(writeMatcher).join(', ') ?? ''}`}
        confirmText="Expire"
        onConfirm={() => ending && expire(ending)}
        onDismiss={() => setEnding(undefined)}
      />
    </Page>
  );
}

/** Silences, and how many alerts each of them holds back now. */
async function load() {
  const [silences, alerts] = await Promise.all([
    ownAlertmanager.silences(),
    ownAlertmanager.alerts().catch((): GettableAlert[] => []),
  ]);
  const held = new Map<string, number>();
  for (const { status } of alerts) for (const id of status.silencedBy) held.set(id, (held.get(id) ?? 0) + 1);
  return { silences, held };
}

function columns(held: Map<string, number>, end: (silence: Silence) => void): Column<Silence>[] {
  return [
    {
      header: 'State',
      cell: ({ id, status }) => <Badge id={id} text={status.state} color={BADGES[status.state]} />,
    },
    { header: 'Silences', cell: ({ matchers }) => <Code>{matchers.map(writeMatcher).join(', ')}</Code> },
    { header: 'Alerts', cell: ({ id }) => count(held.get(id) ?? 0), numeric: true },
    { header: 'From', cell: ({ startsAt }) => time(startsAt), nowrap: true },
    { header: 'Until', cell: ({ endsAt }) => time(endsAt), nowrap: true },
    { header: 'By', cell: ({ createdBy }) => createdBy },
    { header: 'Comment', cell: ({ comment }) => comment },
    { header: 'Actions', cell: (silence) => <Actions silence={silence} end={end} /> },
  ];
}

function Actions({ silence, end }: { silence: Silence; end: (silence: Silence) => void }) {
  const disabled = !may('editor');
  if (silence.status.state === 'expired') {
    const again = encodeParameters({ matchers: JSON.stringify(silence.matchers) });
    return (
      <LinkButton
        size="sm"
        variant="secondary"
        icon="repeat"
        href={`/silences/new?${again}`}
        disabled={disabled}
      >
        Again
      </LinkButton>
    );
  }
  return (
    <div className={ACTIONS}>
      <LinkButton size="sm" variant="secondary" icon="pen" href={editHref(silence.id)} disabled={disabled}>
        Edit
      </LinkButton>
      <Button size="sm" variant="secondary" icon="times" disabled={disabled} onClick={() => end(silence)}>
        Expire
      </Button>
    </div>
  );
}

const sorted = (silences: Silence[]) =>
  [...silences].sort(
    (a, b) => ORDER.indexOf(a.status.state) - ORDER.indexOf(b.status.state) || (a.endsAt < b.endsAt ? 1 : -1),
  );

const told = ({ matchers, createdBy, comment }: Silence) =>
  [...matchers.map(writeMatcher), createdBy, comment].join(' ');

const BAR = css({ display: 'flex', flexWrap: 'wrap', gap: 8 });
const FILTER = css({ flex: '1 1 240px', maxWidth: 480 });
const ACTIONS = css({ display: 'flex', gap: 8 });
