import { css } from '@emotion/css';
import { Alert, Badge, Button, ConfirmModal, Modal, Select } from '@grafana/ui';
import { useCallback, useState } from 'react';
import { users, type KnownUser } from '~/api/admin';
import { session, type Role } from '~/api/session';
import { DataTable, type Column } from '~/app/DataTable';
import { ago, time } from '~/app/format';
import { useLoad } from '~/app/useLoad';
import { LoginSessions } from './LoginSessions';
import { NewUser } from './NewUser';
import { PasswordForm } from './PasswordForm';
import { ROLES } from './roles';

type Doing = { what: 'create' } | { what: 'password' | 'sessions' | 'remove'; user: KnownUser };

/** Who can log in, and what they may do. */
export function Users() {
  const { value = [], error, reload } = useLoad(useCallback(() => users.list(), []));
  const [doing, setDoing] = useState<Doing>();
  const [failure, setFailure] = useState<Error>();
  const act = useCallback(
    async (action: () => Promise<unknown>) => {
      setFailure(undefined);
      try {
        await action();
      } catch (reason) {
        setFailure(reason as Error);
      }
      // What was refused shows as it is again.
      reload();
    },
    [reload],
  );
  const done = () => {
    setDoing(undefined);
    reload();
  };
  const problem = failure ?? error;
  return (
    <>
      {problem && <Alert title={problem.message} severity="error" />}
      <div>
        <Button icon="plus" onClick={() => setDoing({ what: 'create' })}>
          New user
        </Button>
      </div>
      <DataTable
        label="Users"
        rows={value}
        columns={columns(act, setDoing)}
        rowKey={({ id }) => String(id)}
      />
      <Dialog doing={doing} done={done} act={act} />
    </>
  );
}

type Act = (action: () => Promise<unknown>) => Promise<void>;

function Dialog({ doing, done, act }: { doing: Doing | undefined; done: () => void; act: Act }) {
  if (!doing) return null;
  if (doing.what === 'create') {
    return (
      <Modal title="New user" isOpen onDismiss={done}>
        <NewUser onDone={done} />
      </Modal>
    );
  }
  const { what, user } = doing;
  if (what === 'password') {
    return (
      <Modal title={`New password of ${user.login}`} isOpen onDismiss={done}>
        <p>All sessions of {user.login} end.</p>
        <PasswordForm onSubmit={(password) => users.change(user.id, { password })} onDone={done} />
      </Modal>
    );
  }
  if (what === 'sessions') {
    return (
      <Modal title={`Sessions of ${user.login}`} isOpen onDismiss={done}>
        <LoginSessions
          load={() => users.sessions(user.id)}
          end={() => users.endSessions(user.id)}
          ending="End all"
        />
      </Modal>
    );
  }
  return (
    <ConfirmModal
      isOpen
      title={`Delete ${user.login}?`}
      body="Their preferences and stars go, too; dashboards they saved stay."
      confirmText="Delete"
      onConfirm={() => {
        void act(() => users.remove(user.id));
        done();
      }}
      onDismiss={done}
    />
  );
}

function columns(act: Act, doThis: (doing: Doing) => void): Column<KnownUser>[] {
  return [
    {
      header: 'Login',
      cell: ({ login, id }) => (id === session().user?.id ? <strong>{login} (you)</strong> : login),
    },
    { header: 'Name', cell: ({ name }) => name },
    {
      header: 'Role',
      cell: ({ id, login, role }) => (
        <Select<Role>
          aria-label={`Role of ${login}`}
          width={16}
          options={ROLES}
          value={role}
          onChange={({ value }) => value && void act(() => users.change(id, { role: value }))}
        />
      ),
    },
    {
      header: 'May log in',
      cell: ({ id, login, isDisabled }) => (
        <span className={ACTIONS}>
          <Badge text={isDisabled ? 'no' : 'yes'} color={isDisabled ? 'red' : 'green'} />
          <Button
            size="sm"
            variant="secondary"
            aria-label={`${isDisabled ? 'Enable' : 'Disable'} ${login}`}
            onClick={() => void act(() => users.change(id, { isDisabled: !isDisabled }))}
          >
            {isDisabled ? 'Enable' : 'Disable'}
          </Button>
        </span>
      ),
    },
    { header: 'Seen', cell: ({ seenMs }) => (seenMs ? ago(new Date(seenMs).toISOString()) : 'never') },
    { header: 'Since', cell: ({ createdMs }) => time(createdMs) },
    {
      header: 'Actions',
      cell: (user) => (
        <div className={ACTIONS}>
          <Button size="sm" variant="secondary" onClick={() => doThis({ what: 'password', user })}>
            Password
          </Button>
          <Button size="sm" variant="secondary" onClick={() => doThis({ what: 'sessions', user })}>
            Sessions
          </Button>
          <Button
            size="sm"
            variant="destructive"
            fill="outline"
            aria-label={`Delete ${user.login}`}
            onClick={() => doThis({ what: 'remove', user })}
          >
            Delete
          </Button>
        </div>
      ),
    },
  ];
}

const ACTIONS = css({ display: 'flex', flexWrap: 'wrap', gap: 8 });
