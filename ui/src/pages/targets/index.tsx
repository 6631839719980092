import { useCallback } from 'react';
import { operations } from '~/api/operations';
import { Page } from '~/app/Page';
import { PageTabs } from '~/app/PageTabs';
import { useLoad } from '~/app/useLoad';
import { Discovery } from './Discovery';
import { TargetList } from './TargetList';

const REFRESH_MS = 10_000;

/** What is scraped, how that goes and what it costs, and what was found but is not scraped. */
export default function Targets() {
  const { value, error } = useLoad(
    useCallback(() => operations.targets(), []),
    REFRESH_MS,
  );
  return (
    <Page title="Targets" error={error}>
      {value && (
        <PageTabs
          tabs={[
            { name: 'targets', label: 'Targets', content: <TargetList targets={value} /> },
            { name: 'discovery', label: 'Service discovery', content: <Discovery targets={value} /> },
          ]}
        />
      )}
    </Page>
  );
}
