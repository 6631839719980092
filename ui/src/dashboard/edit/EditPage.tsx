import { useEffect, useState } from 'react';
import type { DashboardScene } from '../DashboardScene';
import { settle } from './commit';
import { LeaveGuard } from './LeaveGuard';
import { Overlays } from './Overlays';
import { PanelEditorPage } from './panel/PanelEditorPage';
import { SettingsPage } from './settings/SettingsPage';

/** What takes the place of the panels while one of them, or the settings, are edited. */
export default function EditPage({ scene }: { scene: DashboardScene }) {
  const { editPanel } = scene.useState();
  const [before] = useState(scene.state.dashboard);
  useEffect(() => () => settle(scene, before), [scene, before]);
  return (
    <>
      {editPanel ? (
        <PanelEditorPage key={editPanel} scene={scene} id={Number(editPanel)} before={before} />
      ) : (
        <SettingsPage scene={scene} />
      )}
      <LeaveGuard scene={scene} />
      <Overlays scene={scene} />
    </>
  );
}
