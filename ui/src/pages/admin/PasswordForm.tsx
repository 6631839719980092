import { css } from '@emotion/css';
import { Alert, Button, Field, Input } from '@grafana/ui';
import { useState, type FormEvent } from 'react';

interface Props {
  onSubmit: (password: string, old: string) => Promise<unknown>;
  onDone: () => void;
  /** Whether the old password has to be known. */
  asksOld?: boolean;
}

/** A new password, twice. */
export function PasswordForm({ onSubmit, onDone, asksOld = false }: Props) {
  const [old, setOld] = useState('');
  const [password, setPassword] = useState('');
  const [again, setAgain] = useState('');
  const [problem, setProblem] = useState('');
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (password !== again) {
      setProblem('The two new passwords differ.');
      return;
    }
    try {
      await onSubmit(password, old);
      onDone();
    } catch (reason) {
      setProblem((reason as Error).message);
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)} className={FORM}>
      {problem && <Alert title={problem} severity="error" />}
      {asksOld && (
        <Secret
          id="old-password"
          label="Old password"
          value={old}
          onChange={setOld}
          autoComplete="current-password"
        />
      )}
      <Secret id="password" label="New password" value={password} onChange={setPassword} />
      <Secret id="password-again" label="Once more" value={again} onChange={setAgain} />
      <div>
        <Button type="submit" disabled={!password || !again || (asksOld && !old)}>
          Change password
        </Button>
      </div>
    </form>
  );
}

interface SecretProps {
  id: string;
  label: string;
  value: string;
  onChange: (value: string) => void;
  autoComplete?: string;
}

function Secret({ id, label, value, onChange, autoComplete = 'new-password' }: SecretProps) {
  return (
    <Field label={label} noMargin>
      <Input
        id={id}
        type="password"
        autoComplete={autoComplete}
        value={value}
        onChange={({ currentTarget }) => onChange(currentTarget.value)}
      />
    </Field>
  );
}

const FORM = css({ display: 'flex', flexDirection: 'column', gap: 12, maxWidth: 420 });
