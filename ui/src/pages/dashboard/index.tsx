import { UrlSyncContextProvider } from '@grafana/scenes';
import { useCallback, useEffect, useState } from 'react';
import { useParams } from 'react-router-dom';
import { dashboards } from '~/api/dashboards';
import { Loading } from '~/app/Loading';
import { Page, useTitle } from '~/app/Page';
import { useLoad } from '~/app/useLoad';
import type { DashboardScene } from '~/dashboard/DashboardScene';
import { loadDashboard } from '~/dashboard/load';
import { toScene } from '~/dashboard/toScene';

/** A dashboard by its uid. */
export default function DashboardPage() {
  const { uid = '' } = useParams();
  const load = useCallback(() => open(uid), [uid]);
  const { value: scene, error, loading } = useLoad(load);
  if (error) return <Page title="Dashboard" error={error} />;
  if (loading || !scene || scene.state.dashboard.uid !== uid) return <Loading />;
  return <Current key={uid} first={scene} />;
}

async function open(uid: string): Promise<DashboardScene> {
  const kept = await dashboards().open(uid);
  if (!kept) throw new Error(`There is no dashboard with the uid ${uid}.`);
  const { about, dashboard } = kept;
  const loaded = loadDashboard(dashboard);
  const scene = toScene({ ...loaded, uid: about.uid, version: about.version });
  const found = (
    await dashboards()
      .list()
      .catch(() => [])
  ).find((each) => each.uid === uid);
  scene.setState({ about, isStarred: found?.isStarred ?? false });
  return scene;
}

/** The scene, and those that take its place as variables and annotations are edited. */
export function Current({ first }: { first: DashboardScene }) {
  const [scene, setScene] = useState(first);
  useEffect(() => scene.setState({ replace: setScene }), [scene]);
  return <Shown key={scene.state.key} scene={scene} />;
}

function Shown({ scene }: { scene: DashboardScene }) {
  const { dashboard } = scene.useState();
  useTitle(dashboard.title);
  return (
    <UrlSyncContextProvider scene={scene} updateUrlOnInit createBrowserHistorySteps>
      <scene.Component model={scene} />
    </UrlSyncContextProvider>
  );
}
