import { Badge, Button, LinkButton, type BadgeColor } from '@grafana/ui';
import { useCallback, useState } from 'react';
import { ownAlertmanager, writeMatcher, type Silence } from '~/api/alertmanager';
import { may } from '~/api/session';
import { DataTable, type Column } from '~/app/DataTable';
import { Page } from '~/app/Page';
import { time } from '~/app/format';
import { useLoad } from '~/app/useLoad';
import { encodeParameters } from '~/api/http';

const BADGES: Record<Silence['status']['state'], BadgeColor> = {
  active: 'green',
  pending: 'orange',
  expired: 'blue',
};
const ORDER: Silence['status']['state'][] = ['active', 'pending', 'expired'];

/** Silences there are, were and will be. */
export default function Silences() {
  const { value = [], error, reload } = useLoad(useCallback(() => ownAlertmanager.silences(), []));
  const [failure, setFailure] = useState<Error>();
  const expire = async ({ id }: Silence) => {
    try {
      await ownAlertmanager.expire(id);
      reload();
    } catch (reason) {
      setFailure(reason as Error);
    }
  };
  const rows = [...value].sort(
    (a, b) => ORDER.indexOf(a.status.state) - ORDER.indexOf(b.status.state) || (a.endsAt < b.endsAt ? 1 : -1),
  );
  const columns: Column<Silence>[] = [
    {
      header: 'State',
      cell: ({ id, status }) => <Badge id={id} text={status.state} color={BADGES[status.state]} />,
    },
    { header: 'Silences', cell: ({ matchers }) => <code>{matchers.map(writeMatcher).join(', ')}</code> },
    { header: 'From', cell: ({ startsAt }) => time(startsAt) },
    { header: 'Until', cell: ({ endsAt }) => time(endsAt) },
    { header: 'By', cell: ({ createdBy }) => createdBy },
    { header: 'Comment', cell: ({ comment }) => comment },
    {
      header: 'Actions',
      cell: (silence) => (
        <>
          {silence.status.state !== 'expired' && (
            <Button
              size="sm"
              variant="secondary"
              icon="times"
              disabled={!may('editor')}
              onClick={() => void expire(silence)}
            >
              Expire
            </Button>
          )}
          {silence.status.state === 'expired' && (
            <LinkButton
              size="sm"
              variant="secondary"
              icon="repeat"
              href={`/silences/new?${encodeParameters({ matchers: JSON.stringify(silence.matchers) })}`}
            >
              Again
            </LinkButton>
          )}
        </>
      ),
    },
  ];
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
      <DataTable
        label="Silences"
        rows={rows}
        columns={columns}
        rowKey={({ id }) => id}
        empty="Nothing is silenced."
      />
    </Page>
  );
}
