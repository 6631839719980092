import { css } from '@emotion/css';
import { Button, Field, Input, Select, TextLink } from '@grafana/ui';
import { useCallback, useState, type FormEvent } from 'react';
import { encodeParameters } from '~/api/http';
import { operations, type CardinalityEntry, type LabelCardinality } from '~/api/operations';
import { DataTable, type Column } from '~/app/DataTable';
import { Tiles } from '~/app/Tiles';
import { count } from '~/app/format';
import { useLoad } from '~/app/useLoad';
import { useParameter } from '~/app/useParameter';
import { growth, selectorOf } from './cardinality';

const LIMIT = 20;
/** Series with samples in that time are counted. */
const WINDOW_S = 3600;
const OFFSETS = [
  { label: 'an hour ago', value: '1h' },
  { label: 'yesterday', value: '1d' },
  { label: 'a week ago', value: '7d' },
];

/** Where series come from, which of them became more, and what is in those of one metric or label. */
export function Cardinality() {
  const [offset, setOffset] = useParameter('offset', '1d');
  const [match, setMatch] = useParameter('match');
  const load = useCallback(async () => {
    const end = Math.floor(Date.now() / 1000);
    return operations.cardinality({ start: end - WINDOW_S, end, offset, match, limit: LIMIT });
  }, [offset, match]);
  const { value, error, loading } = useLoad(load);
  return (
    <>
      <div className={BAR}>
        {/* Anew when the address changes, so that what is in the form is what was asked. */}
        <Selector key={match} match={match} onChange={setMatch} />
        <Field label="Compared with" htmlFor="offset" noMargin>
          <Select
            inputId="offset"
            width={20}
            options={OFFSETS}
            value={offset}
            onChange={({ value: wanted = '' }) => setOffset(wanted)}
          />
        </Field>
      </div>
      {error && <p role="alert">{error.message}</p>}
      {!value && loading && <p role="status">Counting series...</p>}
      {value && !error && (
        <>
          <Tiles
            label="Series"
            tiles={[
              { label: 'Series of the last hour', value: count(value.series) },
              { label: 'Then', value: count(value.seriesBefore) },
              {
                label: 'Growth',
                value: growth({ series: value.series, before: value.seriesBefore }) || 'none',
              },
            ]}
          />
          <div className={GRID}>
            <Part title="Metrics with most series" rows={value.metrics} total={value.series} />
            <Part title="Metrics that grew most" rows={value.grownMetrics} total={value.series} />
            <Labels rows={value.labels} />
            <Part title="Label pairs with most series" rows={value.pairs} total={value.series} />
            <Part title="Label pairs that grew most" rows={value.grownPairs} total={value.series} />
          </div>
        </>
      )}
    </>
  );
}

function Selector({ match, onChange }: { match: string; onChange: (match: string) => void }) {
  const [text, setText] = useState(match);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onChange(text.trim());
  };
  return (
    <form onSubmit={submit} className={FORM}>
      <Field label="Of the series that match" className={FIELD} noMargin>
        <Input
          id="match"
          value={text}
          placeholder={'all, or such as {job="api"}'}
          onChange={({ currentTarget }) => setText(currentTarget.value)}
        />
      </Field>
      <Button type="submit" variant="secondary">
        Count
      </Button>
      {match && (
        <Button type="button" variant="secondary" fill="outline" onClick={() => onChange('')}>
          All series
        </Button>
      )}
    </form>
  );
}

const hrefOf = (match: string) => `/status?${encodeParameters({ tab: 'cardinality', match })}`;

interface PartProps {
  title: string;
  rows: CardinalityEntry[];
  total: number;
}

function Part({ title, rows, total }: PartProps) {
  const columns: Column<CardinalityEntry>[] = [
    {
      header: 'Name',
      cell: (entry) => (
        <TextLink href={hrefOf(selectorOf(entry))} inline={false}>
          <span className={NAME}>
            {entry.name}
            {entry.value === undefined ? '' : `="${entry.value}"`}
          </span>
        </TextLink>
      ),
    },
    { header: 'Series', cell: ({ series }) => count(series), numeric: true },
    { header: 'Part', cell: ({ series }) => <Share part={series / (total || 1)} />, numeric: true },
    { header: 'Growth', cell: (entry) => growth(entry), numeric: true },
  ];
  return (
    <section className={CELL}>
      <h2 className={HEADING}>{title}</h2>
      <DataTable
        label={title}
        rows={rows}
        columns={columns}
        rowKey={({ name, value }) => `${name} ${value}`}
        empty="None."
      />
    </section>
  );
}

/** A part of the whole as a bar and a number. */
function Share({ part }: { part: number }) {
  return (
    <span className={SHARE}>
      <meter min={0} max={1} value={part} aria-hidden="true" />
      {(100 * part).toFixed(1)} %
    </span>
  );
}

function Labels({ rows }: { rows: LabelCardinality[] }) {
  return (
    <section className={CELL}>
      <h2 className={HEADING}>Labels with most values</h2>
      <DataTable
        label="Labels with most values"
        rows={rows}
        rowKey={({ name }) => name}
        columns={[
          {
            header: 'Name',
            cell: ({ name }) => (
              <TextLink href={hrefOf(`{${JSON.stringify(name)}=~".+"}`)} inline={false}>
                <span className={NAME}>{name}</span>
              </TextLink>
            ),
          },
          { header: 'Values', cell: ({ values }) => count(values), numeric: true },
          {
            header: 'Growth',
            cell: ({ values, valuesBefore }) => growth({ series: values, before: valuesBefore }),
            numeric: true,
          },
          { header: 'Series', cell: ({ series }) => count(series), numeric: true },
        ]}
      />
    </section>
  );
}

const BAR = css({ alignItems: 'flex-end', display: 'flex', flexWrap: 'wrap', gap: 16 });
const FORM = css({ alignItems: 'flex-end', display: 'flex', flex: '1 1 320px', flexWrap: 'wrap', gap: 8 });
const FIELD = css({ flex: '1 1 240px', maxWidth: 480 });
const GRID = css({
  display: 'grid',
  gap: 24,
  gridTemplateColumns: 'repeat(auto-fit, minmax(min(420px, 100%), 1fr))',
});
const CELL = css({ minWidth: 0 });
const HEADING = css({ fontSize: 18 });
const NAME = css({ overflowWrap: 'anywhere' });
const SHARE = css({ alignItems: 'center', display: 'inline-flex', gap: 8, meter: { width: 60 } });
