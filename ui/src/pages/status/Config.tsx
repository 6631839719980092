import { css } from '@emotion/css';
import { ClipboardButton } from '@grafana/ui';
import { useCallback } from 'react';
import { ownMetrics } from '~/api/prometheus';
import { request } from '~/api/http';
import { hasAllParts } from '~/api/session';
import { useLoad } from '~/app/useLoad';

/** The configurations in force, without their secrets. */
export function Config() {
  const { value, error } = useLoad(
    useCallback(async () => {
      const [{ yaml }, alerts] = await Promise.all([
        ownMetrics.get<{ yaml: string }>('status/config', {}),
        hasAllParts() ? request<{ config: { original: string } }>('/api/v2/status') : undefined,
      ]);
      return { yaml, alerts: alerts?.config.original };
    }, []),
  );
  if (error) return <p role="alert">{error.message}</p>;
  if (!value) return null;
  return (
    <>
      <Yaml title="Metrics and rules" text={value.yaml} />
      {value.alerts && <Yaml title="Notifications" text={value.alerts} />}
    </>
  );
}

function Yaml({ title, text }: { title: string; text: string }) {
  return (
    <section>
      <div className={HEAD}>
        <h2 className={HEADING}>{title}</h2>
        <ClipboardButton size="sm" variant="secondary" icon="copy" getText={() => text}>
          Copy
        </ClipboardButton>
      </div>
      <pre tabIndex={0} aria-label={title}>
        {text}
      </pre>
    </section>
  );
}

const HEAD = css({ alignItems: 'center', display: 'flex', gap: 16, marginBottom: 8 });
const HEADING = css({ fontSize: 18, margin: 0 });
