import { css } from '@emotion/css';
import { Alert, Button, Field, Input } from '@grafana/ui';
import { useState, type FormEvent } from 'react';
import { PREFIX } from '~/api/http';
import { logIn } from '~/api/session';
import { useTitle } from '~/app/Page';

/** Name and password. */
export default function Login() {
  useTitle('Log in');
  const [login, setLogin] = useState('');
  const [password, setPassword] = useState('');
  const [problem, setProblem] = useState<string>();
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    try {
      await logIn(login, password);
      // Everything is loaded anew, as who has logged in may see more of it.
      window.location.assign(`${PREFIX}${target()}`);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)} className={FORM}>
      <h1>Log in</h1>
      {problem && <Alert title={problem} severity="error" />}
      <Field label="Name" noMargin>
        <Input
          id="login"
          autoComplete="username"
          autoFocus
          value={login}
          onChange={({ currentTarget }) => setLogin(currentTarget.value)}
        />
      </Field>
      <Field label="Password" noMargin>
        <Input
          id="password"
          type="password"
          autoComplete="current-password"
          value={password}
          onChange={({ currentTarget }) => setPassword(currentTarget.value)}
        />
      </Field>
      <Button type="submit" disabled={!login || !password}>
        Log in
      </Button>
    </form>
  );
}

/** Where a login leads: a page of this server that asked for it, and nowhere else. */
function target(): string {
  const to = new URLSearchParams(window.location.search).get('to') ?? '/';
  return /^\/(?![/\\])/.test(to) ? to : '/';
}

const FORM = css({
  display: 'flex',
  flexDirection: 'column',
  gap: 16,
  margin: '12vh auto',
  maxWidth: 360,
  width: '90%',
});
