import { UrlSyncContextProvider } from '@grafana/scenes';
import { useCallback } from 'react';
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
  return <Shown key={uid} scene={scene} />;
}

async function open(uid: string): Promise<DashboardScene> {
  const json = await dashboards().get(uid);
  if (!json) throw new Error(`There is no dashboard with the uid ${uid}.`);
  const scene = toScene(loadDashboard(json));
  const about = (
    await dashboards()
      .list()
      .catch(() => [])
  ).find((each) => each.uid === uid);
  scene.setState({ isStarred: about?.isStarred ?? false });
  return scene;
}

function Shown({ scene }: { scene: DashboardScene }) {
  useTitle(scene.state.dashboard.title);
  return (
    <UrlSyncContextProvider scene={scene} updateUrlOnInit createBrowserHistorySteps>
      <scene.Component model={scene} />
    </UrlSyncContextProvider>
  );
}
