import { useCallback } from 'react';
import { routing } from '~/api/routing';
import { Page } from '~/app/Page';
import { PageTabs } from '~/app/PageTabs';
import { useLoad } from '~/app/useLoad';
import { History } from './History';
import { Tree } from './Tree';

const REFRESH_MS = 30_000;

/** Who is told of alerts, and what was told. */
export default function Routing() {
  const { value, error } = useLoad(
    useCallback(() => routing.tree(), []),
    REFRESH_MS,
  );
  return (
    <Page title="Notifications" error={error}>
      {value && (
        <PageTabs
          tabs={[
            { name: 'tree', label: 'Routing', content: <Tree tree={value} /> },
            { name: 'history', label: 'History', content: <History receivers={value.receivers} /> },
          ]}
        />
      )}
    </Page>
  );
}
