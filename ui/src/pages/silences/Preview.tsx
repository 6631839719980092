import { useCallback } from 'react';
import { ownAlertmanager, writeMatcher, type GettableAlert, type Matcher } from '~/api/alertmanager';
import { LabelList } from '~/app/LabelList';
import { useLoad } from '~/app/useLoad';

const SHOWN_MAX = 20;

/** The alerts that fire now and would be silenced. */
export function Preview({ matchers }: { matchers: Matcher[] }) {
  const filters = matchers.map(writeMatcher);
  const key = JSON.stringify(filters);
  const load = useCallback(
    (): Promise<GettableAlert[]> => ownAlertmanager.alerts(JSON.parse(key) as string[]),
    [key],
  );
  const { value, error } = useLoad(load);
  if (error) return <p>{error.message}</p>;
  if (!value) return null;
  return (
    <section aria-label="Alerts that match">
      <h2>{value.length === 1 ? '1 alert matches now' : `${value.length} alerts match now`}</h2>
      {value.slice(0, SHOWN_MAX).map(({ fingerprint, labels }) => (
        <div key={fingerprint}>
          <LabelList labels={labels} />
        </div>
      ))}
      {value.length > SHOWN_MAX && <p>{value.length - SHOWN_MAX} more</p>}
    </section>
  );
}
