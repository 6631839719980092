import { css } from '@emotion/css';
import { Alert, Button, Field, Select, TimeZonePicker, WeekStartPicker, type WeekStart } from '@grafana/ui';
import { useCallback, useState, type FormEvent } from 'react';
import { dashboards } from '~/api/dashboards';
import { Choice } from '~/app/Choice';
import type { Wishes } from '~/app/preferences';
import { useLoad } from '~/app/useLoad';

const THEMES: { label: string; value: NonNullable<Wishes['theme']> | '' }[] = [
  { label: 'No wish', value: '' },
  { label: 'Dark', value: 'dark' },
  { label: 'Light', value: 'light' },
  { label: 'As the system', value: 'system' },
];

interface Props {
  load: () => Promise<Wishes>;
  save: (preferences: Wishes) => Promise<void>;
}

/** Colours, times and where one begins. */
export function PreferencesForm({ load, save }: Props) {
  // What is loaded stays the same as long as the form is shown.
  const [first] = useState(() => load);
  const { value, error } = useLoad(first);
  if (error) return <p role="alert">{error.message}</p>;
  return value ? <Form value={value} save={save} /> : null;
}

function Form({ value, save }: { value: Wishes; save: Props['save'] }) {
  const [wanted, setWanted] = useState(value);
  const [told, setTold] = useState<{ text: string; severity: 'success' | 'error' }>();
  const { value: list = [] } = useLoad(useCallback(() => dashboards().list(), []));
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    try {
      await save(wanted);
      setTold({ text: 'Saved', severity: 'success' });
    } catch (reason) {
      setTold({ text: (reason as Error).message, severity: 'error' });
    }
  };
  /** A wish that is taken back is left out. */
  const set = (changed: { [Key in keyof Wishes]: Wishes[Key] | undefined }) => {
    const all = Object.entries({ ...wanted, ...changed }).filter(([, wish]) => wish !== undefined);
    setWanted(Object.fromEntries(all));
  };
  const homes = [
    { label: 'The usual one', value: '' },
    ...list.map(({ uid, title }) => ({ label: title, value: uid })),
  ];
  return (
    <form onSubmit={(event) => void submit(event)} className={FORM}>
      <Field label="Colours" noMargin>
        <Choice
          label="Colours"
          options={THEMES}
          value={wanted.theme ?? ''}
          onChange={(theme) => set({ theme: theme === '' ? undefined : theme })}
        />
      </Field>
      <Field label="Time zone" htmlFor="time-zone" noMargin>
        <TimeZonePicker
          inputId="time-zone"
          includeInternal
          value={wanted.timezone ?? ''}
          onChange={(timezone) => set({ timezone: timezone || undefined })}
        />
      </Field>
      <Field label="The week begins on" htmlFor="week-start" noMargin>
        <WeekStartPicker
          inputId="week-start"
          value={wanted.weekStart as WeekStart | undefined}
          onChange={(weekStart) => set({ weekStart: weekStart as Wishes['weekStart'] })}
        />
      </Field>
      <Field label="Home dashboard" htmlFor="home-dashboard" noMargin>
        <Select
          inputId="home-dashboard"
          options={homes}
          value={wanted.homeDashboardUid ?? ''}
          onChange={({ value: uid }) => set({ homeDashboardUid: uid || undefined })}
        />
      </Field>
      {told && <Alert title={told.text} severity={told.severity} />}
      <div>
        <Button type="submit">Save</Button>
      </div>
    </form>
  );
}

const FORM = css({ display: 'flex', flexDirection: 'column', gap: 12, maxWidth: 480 });
