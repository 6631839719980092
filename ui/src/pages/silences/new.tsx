import { css } from '@emotion/css';
import { rangeUtil } from '@grafana/data';
import { locationService } from '@grafana/runtime';
import { Button, Field, IconButton, Input, Select } from '@grafana/ui';
import { useCallback, useState, type FormEvent } from 'react';
import { useLocation } from 'react-router-dom';
import { ownAlertmanager, writeMatcher, type GettableAlert, type Matcher } from '~/api/alertmanager';
import { session } from '~/api/session';
import { LabelList } from '~/app/LabelList';
import { Page } from '~/app/Page';
import { useLoad } from '~/app/useLoad';
import { readMatchers } from './url';

const OPERATORS = ['=', '!=', '=~', '!~'] as const;
type Operator = (typeof OPERATORS)[number];
const PREVIEW_MAX = 20;

const operatorOf = ({ isRegex, isEqual }: Matcher): Operator =>
  isRegex ? (isEqual ? '=~' : '!~') : isEqual ? '=' : '!=';

/** The form of a new silence, with the alerts it would hold back. */
export default function NewSilence() {
  const { search } = useLocation();
  const [matchers, setMatchers] = useState(() => readMatchers(search));
  const [length, setLength] = useState('2h');
  const [author, setAuthor] = useState(session().user?.login ?? '');
  const [comment, setComment] = useState('');
  const [error, setError] = useState<Error>();
  const complete = matchers.filter(({ name }) => name);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    try {
      const now = Date.now();
      const endsAt = new Date(now + rangeUtil.intervalToMs(length)).toISOString();
      await ownAlertmanager.silence({
        matchers: complete,
        startsAt: new Date(now).toISOString(),
        endsAt,
        createdBy: author,
        comment,
      });
      locationService.push('/silences');
    } catch (reason) {
      setError(reason as Error);
    }
  };
  const set = (index: number, changed: Partial<Matcher>) =>
    setMatchers((current) =>
      current.map((matcher, at) => (at === index ? { ...matcher, ...changed } : matcher)),
    );

  return (
    <Page title="New silence" error={error}>
      <form onSubmit={(event) => void submit(event)} className={FORM}>
        <Field label="Alerts with these labels" noMargin>
          <div>
            {matchers.map((matcher, index) => (
              <MatcherRow
                key={index}
                matcher={matcher}
                onChange={(changed) => set(index, changed)}
                onRemove={() => setMatchers((current) => current.filter((_, at) => at !== index))}
              />
            ))}
            <Button
              type="button"
              size="sm"
              variant="secondary"
              icon="plus"
              onClick={() =>
                setMatchers((current) => [...current, { name: '', value: '', isRegex: false, isEqual: true }])
              }
            >
              Add label
            </Button>
          </div>
        </Field>
        <Field label="For how long" description="Such as 30m, 2h or 1d" noMargin>
          <Input
            id="length"
            value={length}
            width={20}
            onChange={({ currentTarget }) => setLength(currentTarget.value)}
          />
        </Field>
        <Field label="Who silences" noMargin>
          <Input
            id="author"
            value={author}
            required
            width={40}
            onChange={({ currentTarget }) => setAuthor(currentTarget.value)}
          />
        </Field>
        <Field label="Why" noMargin>
          <Input
            id="comment"
            value={comment}
            required
            onChange={({ currentTarget }) => setComment(currentTarget.value)}
          />
        </Field>
        <div>
          <Button type="submit" disabled={!complete.length || !author || !comment}>
            Silence
          </Button>
        </div>
      </form>
      {complete.length > 0 && <Preview matchers={complete} />}
    </Page>
  );
}

interface RowProps {
  matcher: Matcher;
  onChange: (changed: Partial<Matcher>) => void;
  onRemove: () => void;
}

function MatcherRow({ matcher, onChange, onRemove }: RowProps) {
  return (
    <div className={ROW}>
      <Input
        aria-label="Label"
        placeholder="label"
        value={matcher.name}
        onChange={({ currentTarget }) => onChange({ name: currentTarget.value })}
      />
      <Select
        aria-label="Operator"
        width={12}
        options={OPERATORS.map((value) => ({ label: value, value }))}
        value={operatorOf(matcher)}
        onChange={({ value = '=' }) =>
          onChange({ isRegex: value.includes('~'), isEqual: value.startsWith('=') })
        }
      />
      <Input
        aria-label="Value"
        placeholder="value"
        value={matcher.value}
        onChange={({ currentTarget }) => onChange({ value: currentTarget.value })}
      />
      <IconButton type="button" name="trash-alt" aria-label="Remove label" onClick={onRemove} />
    </div>
  );
}

/** The alerts that fire now and would be silenced. */
function Preview({ matchers }: { matchers: Matcher[] }) {
  const filters = matchers.map(writeMatcher);
  const key = JSON.stringify(filters);
  const load = useCallback(
    (): Promise<GettableAlert[]> => ownAlertmanager.alerts(JSON.parse(key) as string[]),
    [key],
  );
  const { value = [], error } = useLoad(load);
  if (error) return <p>{error.message}</p>;
  return (
    <section aria-label="Alerts that match">
      <h2>{value.length === 1 ? '1 alert matches now' : `${value.length} alerts match now`}</h2>
      {value.slice(0, PREVIEW_MAX).map(({ fingerprint, labels }) => (
        <div key={fingerprint}>
          <LabelList labels={labels} />
        </div>
      ))}
    </section>
  );
}

const FORM = css({ display: 'flex', flexDirection: 'column', gap: 16, maxWidth: 800 });
const ROW = css({ alignItems: 'center', display: 'flex', gap: 8, marginBottom: 8 });
