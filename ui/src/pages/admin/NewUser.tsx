import { css } from '@emotion/css';
import { Alert, Button, Field, Input, Select } from '@grafana/ui';
import { useState, type FormEvent } from 'react';
import { users } from '~/api/admin';
import type { Role } from '~/api/session';
import { ROLES } from './roles';

/** The form of a user to be made. */
export function NewUser({ onDone }: { onDone: () => void }) {
  const [made, setMade] = useState({ login: '', name: '', role: 'viewer' as Role, password: '' });
  const [problem, setProblem] = useState('');
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    try {
      await users.create(made);
      onDone();
    } catch (reason) {
      setProblem((reason as Error).message);
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)} className={FORM}>
      {problem && <Alert title={problem} severity="error" />}
      <Field label="Login" noMargin>
        <Input
          id="new-login"
          autoComplete="off"
          required
          value={made.login}
          onChange={({ currentTarget }) => setMade({ ...made, login: currentTarget.value })}
        />
      </Field>
      <Field label="Name to show" noMargin>
        <Input
          id="new-name"
          autoComplete="off"
          value={made.name}
          onChange={({ currentTarget }) => setMade({ ...made, name: currentTarget.value })}
        />
      </Field>
      <Field label="Role" htmlFor="new-role" noMargin>
        <Select<Role>
          inputId="new-role"
          options={ROLES}
          value={made.role}
          onChange={({ value = 'viewer' }) => setMade({ ...made, role: value })}
        />
      </Field>
      <Field label="First password" description="At least 8 characters" noMargin>
        <Input
          id="new-password"
          type="password"
          autoComplete="new-password"
          required
          value={made.password}
          onChange={({ currentTarget }) => setMade({ ...made, password: currentTarget.value })}
        />
      </Field>
      <div>
        <Button type="submit" disabled={!made.login || !made.password}>
          Create
        </Button>
      </div>
    </form>
  );
}

const FORM = css({ display: 'flex', flexDirection: 'column', gap: 12 });
