import { css } from '@emotion/css';
import { Button, Field, RadioButtonGroup, Select, TextArea } from '@grafana/ui';
import { locationService } from '@grafana/runtime';
import { useCallback, useState, type FormEvent } from 'react';
import { useLocation } from 'react-router-dom';
import { operations } from '~/api/operations';
import { LabelList } from '~/app/LabelList';
import { Page } from '~/app/Page';
import { useLoad } from '~/app/useLoad';
import { StepList } from './StepList';
import { explainSteps, publicLabels } from './steps';
import { readLabels, readLines, writeLines } from './url';

const KINDS = [
  { label: 'of a target', value: 'target' as const },
  { label: 'of a series', value: 'series' as const },
];

/** What the rules of a job do with labels, one by one: why a target is not scraped, or what becomes of a series. */
export default function Relabel() {
  const { search } = useLocation();
  const asked = new URLSearchParams(search);
  const pool = asked.get('pool') ?? '';
  const of = asked.get('of') === 'series' ? 'series' : 'target';
  const text = asked.get('labels') ?? '';
  const load = useCallback(async () => {
    if (!pool) return undefined;
    const labels = readLabels(text);
    const { steps } = await operations.relabelSteps(pool, labels, of);
    return { labels, of, steps: explainSteps(labels, steps) };
  }, [pool, text, of]);
  const { value, error } = useLoad(load);
  return (
    <Page title="Relabelling" error={error}>
      {/* Anew for every question, so that what is in the form is what was asked. */}
      <Question key={search} pool={pool} of={of} text={text} />
      {value && (
        <>
          <section aria-label="Labels before">
            <h2 className={HEADING}>
              {value.of === 'target' ? 'As discovered' : 'As the target exposes it'}
            </h2>
            <LabelList labels={value.labels} />
          </section>
          <StepList steps={value.steps} />
          <Verdict value={value} />
        </>
      )}
    </Page>
  );
}

interface QuestionProps {
  pool: string;
  of: 'target' | 'series';
  text: string;
}

function Question({ pool, of, text }: QuestionProps) {
  const { value: pools } = useLoad(useCallback(() => operations.pools(), []));
  const [wanted, setWanted] = useState({ pool, of, lines: writeLines(readLabels(text)) });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const labels = JSON.stringify(readLines(wanted.lines));
    locationService.partial({ pool: wanted.pool, of: wanted.of === 'series' ? 'series' : null, labels });
  };
  return (
    <form onSubmit={submit} className={FORM}>
      <div className={ROW}>
        <Field label="Job" htmlFor="pool" noMargin>
          <Select
            inputId="pool"
            width={30}
            options={pools?.scrapePools.map((name) => ({ label: name, value: name })) ?? []}
            value={wanted.pool}
            onChange={({ value = '' }) => setWanted({ ...wanted, pool: value })}
          />
        </Field>
        <Field label="Labels" noMargin>
          <RadioButtonGroup
            aria-label="Labels of what"
            options={KINDS}
            value={wanted.of}
            onChange={(value) => setWanted({ ...wanted, of: value })}
          />
        </Field>
      </div>
      <Field label="One label a line, such as __address__=host:9100" noMargin>
        <TextArea
          id="labels"
          className={LINES}
          rows={Math.min(12, wanted.lines.split('\n').length + 1)}
          value={wanted.lines}
          onChange={({ currentTarget }) => setWanted({ ...wanted, lines: currentTarget.value })}
        />
      </Field>
      <div>
        <Button type="submit" disabled={!wanted.pool}>
          Explain
        </Button>
      </div>
    </form>
  );
}

type Value = { labels: Record<string, string>; of: string; steps: ReturnType<typeof explainSteps> };

function Verdict({ value: { labels, of, steps } }: { value: Value }) {
  const at = steps.findIndex(({ outcome }) => outcome === 'dropped');
  const left = steps.at(-1)?.after ?? labels;
  const shown = of === 'target' ? publicLabels(left) : left;
  return (
    <section aria-label="Outcome" role="status">
      <h2 className={HEADING}>
        {at >= 0
          ? `Dropped by rule ${at + 1}`
          : of === 'target' && Object.keys(shown).length === 0
            ? 'Dropped: no label is left'
            : of === 'target'
              ? 'Kept, with these labels'
              : 'Stored, with these labels'}
      </h2>
      {at < 0 && <LabelList labels={shown} />}
    </section>
  );
}

const FORM = css({ display: 'flex', flexDirection: 'column', gap: 12, maxWidth: 900 });
const ROW = css({ display: 'flex', flexWrap: 'wrap', gap: 16 });
const LINES = css({ fontFamily: 'monospace' });
const HEADING = css({ fontSize: 16 });
