import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { Alert, Button, ClipboardButton, Stack, useStyles2 } from '@grafana/ui';
import { useMemo, useState } from 'react';
import { loadDashboard } from '../../load';
import { JsonEditor } from './JsonEditor';
import type { PartProps } from './SettingsPage';
import { validateDashboard } from './validate';

/** The dashboard as JSON, which can be changed and is checked as it is written. */
export function JsonModel({ dashboard, onChange }: PartProps) {
  const styles = useStyles2(getStyles);
  const stored = useMemo(() => JSON.stringify(dashboard, undefined, 2), [dashboard]);
  const [text, setText] = useState(stored);
  const [failure, setFailure] = useState<string>();
  const problems = useMemo(() => validateDashboard(text), [text]);
  const errors = problems.filter(({ severity }) => severity === 'error');
  const apply = () => {
    try {
      const next = loadDashboard(JSON.parse(text));
      // Which dashboard this is, and of what version, is not for its JSON to say.
      const { uid, version } = dashboard;
      const applied = { ...next, uid, ...(version === undefined ? {} : { version }) };
      setText(JSON.stringify(applied, undefined, 2));
      setFailure(undefined);
      onChange(applied);
    } catch (error) {
      setFailure(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <Stack direction="column" gap={2}>
      <JsonEditor
        value={text}
        onChange={setText}
        label="Dashboard JSON"
        check={(current) =>
          validateDashboard(current).map(({ from, to, severity, place, message }) => ({
            from,
            to,
            severity,
            message: `${place}: ${message}`,
          }))
        }
      />
      {problems.length > 0 && (
        <ul className={styles.problems} aria-label="Problems">
          {problems.map(({ place, message, line, severity }, index) => (
            <li key={index} className={severity === 'error' ? styles.error : styles.warning}>
              <code>{place}</code>
              {line > 0 && !place.startsWith('line') && ` (line ${line})`}: {message}
            </li>
          ))}
        </ul>
      )}
      {failure && (
        <Alert title="This JSON cannot be shown" severity="error">
          {failure}
        </Alert>
      )}
      <Stack>
        <Button disabled={errors.length > 0 || text === stored} onClick={apply}>
          Apply changes
        </Button>
        <Button variant="secondary" disabled={text === stored} onClick={() => setText(stored)}>
          Take back
        </Button>
        <ClipboardButton icon="copy" variant="secondary" getText={() => text}>
          Copy
        </ClipboardButton>
      </Stack>
    </Stack>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  problems: css({ listStyle: 'none', margin: 0, padding: 0 }),
  error: css({ color: theme.colors.error.text }),
  warning: css({ color: theme.colors.warning.text }),
});
