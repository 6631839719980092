import { Button } from '@grafana/ui';
import { useState } from 'react';
import type { LoginSession } from '~/api/admin';
import { DataTable } from '~/app/DataTable';
import { ago, time } from '~/app/format';
import { useLoad } from '~/app/useLoad';

interface Props {
  load: () => Promise<LoginSession[]>;
  end: () => Promise<unknown>;
  /** What the button says that ends them. */
  ending: string;
}

/** Where a user is logged in. */
export function LoginSessions({ load, end, ending }: Props) {
  // What is loaded stays the same as long as this is shown.
  const [first] = useState(() => load);
  const { value = [], error, reload } = useLoad(first);
  const [problem, setProblem] = useState<Error>();
  const finish = async () => {
    try {
      await end();
      reload();
    } catch (reason) {
      setProblem(reason as Error);
    }
  };
  const failure = problem ?? error;
  return (
    <>
      {failure && <p role="alert">{failure.message}</p>}
      <DataTable
        label="Sessions"
        rows={value}
        rowKey={({ createdMs, client }) => `${createdMs} ${client}`}
        empty="There is none."
        columns={[
          { header: 'Browser', cell: ({ client }) => client },
          { header: 'Began', cell: ({ createdMs }) => time(createdMs) },
          { header: 'Used', cell: ({ seenMs }) => ago(new Date(seenMs).toISOString()) },
        ]}
      />
      <p>
        <Button variant="secondary" disabled={!value.length} onClick={() => void finish()}>
          {ending}
        </Button>
      </p>
    </>
  );
}
