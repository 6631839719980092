import { css } from '@emotion/css';
import { rangeUtil } from '@grafana/data';
import { locationService } from '@grafana/runtime';
import { Button, Field, IconButton, Input, Select } from '@grafana/ui';
import { useCallback, useState, type FormEvent } from 'react';
import { useLocation } from 'react-router-dom';
import { ownAlertmanager, type Matcher, type Silence } from '~/api/alertmanager';
import { session } from '~/api/session';
import { Page } from '~/app/Page';
import { useLoad } from '~/app/useLoad';
import { Preview } from './Preview';
import { localTime, readMatchers } from './url';

const OPERATORS = ['=', '!=', '=~', '!~'] as const;
type Operator = (typeof OPERATORS)[number];
const EMPTY: Matcher = { name: '', value: '', isRegex: false, isEqual: true };

const operatorOf = ({ isRegex, isEqual }: Matcher): Operator =>
  isRegex ? (isEqual ? '=~' : '!~') : isEqual ? '=' : '!=';

/** The form of a silence, new or to be changed, with the alerts it would hold back. */
export default function SilenceForm() {
  const { search } = useLocation();
  const id = new URLSearchParams(search).get('id');
  const load = useCallback(async () => {
    if (!id) return undefined;
    const found = (await ownAlertmanager.silences()).find((silence) => silence.id === id);
    if (!found) throw new Error('there is no such silence any more');
    return found;
  }, [id]);
  const { value, error } = useLoad(load);
  const isThere = !id || value?.id === id;
  return (
    <Page title={id ? 'Change silence' : 'New silence'} error={error}>
      {isThere && <Form key={search} old={value} matchers={value?.matchers ?? readMatchers(search)} />}
    </Page>
  );
}

function Form({ old, matchers: first }: { old: Silence | undefined; matchers: Matcher[] }) {
  const [matchers, setMatchers] = useState(first);
  const [startsAt, setStartsAt] = useState(() => (old ? localTime(Date.parse(old.startsAt)) : ''));
  const [length, setLength] = useState('2h');
  const [endsAt, setEndsAt] = useState(() => (old ? localTime(Date.parse(old.endsAt)) : ''));
  const [author, setAuthor] = useState(old?.createdBy ?? session().user?.login ?? '');
  const [comment, setComment] = useState(old?.comment ?? '');
  const [error, setError] = useState<Error>();
  const complete = matchers.filter(({ name }) => name);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    try {
      // A start that was not touched is kept to the millisecond: another one would be another silence.
      const isOldStart = old && startsAt === localTime(Date.parse(old.startsAt));
      const start = isOldStart ? Date.parse(old.startsAt) : startsAt ? Date.parse(startsAt) : Date.now();
      const end = endsAt ? Date.parse(endsAt) : start + rangeUtil.intervalToMs(length);
      await ownAlertmanager.silence({
        ...(old ? { id: old.id } : {}),
        matchers: complete,
        startsAt: new Date(start).toISOString(),
        endsAt: new Date(end).toISOString(),
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
    <>
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
              onClick={() => setMatchers((current) => [...current, EMPTY])}
            >
              Add label
            </Button>
          </div>
        </Field>
        <div className={TIMES}>
          <TimeField
            id="starts"
            label="From"
            description="Now, if nothing is said"
            value={startsAt}
            onChange={setStartsAt}
          />
          <Field label="For how long" description="Such as 30m, 2h or 1d" noMargin>
            <Input
              id="length"
              value={length}
              width={20}
              disabled={endsAt !== ''}
              onChange={({ currentTarget }) => setLength(currentTarget.value)}
            />
          </Field>
          <TimeField
            id="ends"
            label="Or until"
            description="In your time zone"
            value={endsAt}
            onChange={setEndsAt}
          />
        </div>
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
        {error && <p role="alert">{error.message}</p>}
        <div>
          <Button type="submit" disabled={!complete.length || !author || !comment}>
            {old ? 'Save' : 'Silence'}
          </Button>
        </div>
      </form>
      {complete.length > 0 && <Preview matchers={complete} />}
    </>
  );
}

interface TimeProps {
  id: string;
  label: string;
  description: string;
  value: string;
  onChange: (value: string) => void;
}

function TimeField({ id, label, description, value, onChange }: TimeProps) {
  return (
    <Field label={label} description={description} noMargin>
      <Input
        id={id}
        type="datetime-local"
        value={value}
        width={30}
        onChange={({ currentTarget }) => onChange(currentTarget.value)}
      />
    </Field>
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
      <div className={OPERATOR}>
        <Select
          aria-label="Operator"
          options={OPERATORS.map((value) => ({ label: value, value }))}
          value={operatorOf(matcher)}
          onChange={({ value = '=' }) =>
            onChange({ isRegex: value.includes('~'), isEqual: value.startsWith('=') })
          }
        />
      </div>
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

const FORM = css({ display: 'flex', flexDirection: 'column', gap: 16, maxWidth: 800 });
const TIMES = css({ display: 'flex', flexWrap: 'wrap', gap: 16 });
const OPERATOR = css({ flex: '0 0 72px' });
const ROW = css({ alignItems: 'center', display: 'flex', gap: 8, marginBottom: 8 });
