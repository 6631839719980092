import { useMemo } from 'react';
import { useLocation } from 'react-router-dom';
import { may } from '~/api/session';
import { Page } from '~/app/Page';
import { startEditing } from '~/dashboard/edit/commit';
import { loadDashboard } from '~/dashboard/load';
import { toScene } from '~/dashboard/toScene';
import { Current } from '.';

/** A dashboard that is yet to be made. */
export default function NewDashboard() {
  const folder = new URLSearchParams(useLocation().search).get('folder');
  const scene = useMemo(() => {
    const made = toScene(loadDashboard({ title: 'New dashboard', panels: [] }));
    made.setState({ about: { uid: '', title: '', version: 0, ...(folder ? { folderUid: folder } : {}) } });
    if (may('editor')) startEditing(made);
    return made;
    // What the address has later is of the dashboard, which is made once.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, []);
  if (!may('editor'))
    return (
      <Page title="New dashboard" error={new Error('Only editors and administrators make dashboards.')} />
    );
  return <Current first={scene} />;
}
