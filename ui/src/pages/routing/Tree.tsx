import { css } from '@emotion/css';
import { Alert, Button, Field, Input } from '@grafana/ui';
import { useCallback, useState, type FormEvent } from 'react';
import { routing, type RoutingTree } from '~/api/routing';
import { DataTable } from '~/app/DataTable';
import { useLoad } from '~/app/useLoad';
import { useParameter } from '~/app/useParameter';
import { Explained } from './Explained';
import { RouteBox } from './RouteBox';
import { wayTo } from './way';

/** The routing tree, and a tester of where alerts go in it. */
export function Tree({ tree }: { tree: RoutingTree }) {
  const [labels, setLabels] = useParameter('labels');
  const load = useCallback(async () => (labels ? routing.explain(labels) : []), [labels]);
  const { value = [], error } = useLoad(load);
  const taken = new Set(value.flatMap(({ routes }) => routes.map(({ route }) => route)));
  const way = new Set([...taken].flatMap((id) => wayTo(tree.root, id)));
  return (
    <>
      {/* Anew when the address changes, so that what is in the form is what was asked. */}
      <Tester key={labels} labels={labels} onTest={setLabels} />
      {error && <Alert title={error.message} severity="error" />}
      {labels !== '' && !error && value.length === 0 && (
        <p>No alert fits that now. Write only `=` to see what would become of an alert of such labels.</p>
      )}
      <div className={COLUMNS}>
        <section aria-label="Routing tree" className={TREE}>
          <h2 className={HEADING}>Routes</h2>
          <ul className={LIST}>
            <RouteBox route={tree.root} taken={taken} way={way} isTesting={value.length > 0} />
          </ul>
        </section>
        {value.length > 0 && (
          <section aria-label="What becomes of it" className={TREE}>
            <h2 className={HEADING}>{value.length === 1 ? 'This alert' : `${value.length} alerts`}</h2>
            {value.map((each) => (
              <Explained key={JSON.stringify(each.labels)} explanation={each} />
            ))}
          </section>
        )}
      </div>
      <section>
        <h2 className={HEADING}>Receivers</h2>
        <DataTable
          label="Receivers"
          rows={tree.receivers}
          rowKey={({ name }) => name}
          columns={[
            { header: 'Receiver', cell: ({ name }) => name },
            {
              header: 'Told by',
              cell: ({ integrations }) => integrations.join(', ') || 'nothing: alerts to it are only shown',
            },
          ]}
        />
      </section>
    </>
  );
}

function Tester({ labels, onTest }: { labels: string; onTest: (labels: string) => void }) {
  const [text, setText] = useState(labels);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onTest(text.trim());
  };
  return (
    <form onSubmit={submit} className={FORM}>
      <Field
        label="Test an alert with these labels"
        description={'Such as alertname="Down", job="db"; alerts that fire are found by matchers, too'}
        className={FIELD}
        noMargin
      >
        <Input
          id="alert-labels"
          value={text}
          placeholder={'alertname="Down"'}
          onChange={({ currentTarget }) => setText(currentTarget.value)}
        />
      </Field>
      <Button type="submit">Test</Button>
    </form>
  );
}

const FORM = css({ alignItems: 'flex-end', display: 'flex', flexWrap: 'wrap', gap: 8 });
const FIELD = css({ flex: '1 1 320px', maxWidth: 720 });
const COLUMNS = css({ display: 'flex', flexWrap: 'wrap', gap: 24 });
const TREE = css({ flex: '1 1 380px', minWidth: 0, overflowX: 'auto' });
const LIST = css({ listStyle: 'none', paddingLeft: 0 });
const HEADING = css({ fontSize: 18 });
