import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { locationService } from '@grafana/runtime';
import { Badge, Button, Dropdown, Menu, TagList, ToolbarButton, useStyles2 } from '@grafana/ui';
import { Suspense, lazy, useState } from 'react';
import { dashboards } from '~/api/dashboards';
import { session } from '~/api/session';
import type { DashboardScene } from './DashboardScene';

const EditToolbar = lazy(() => import('./edit/EditToolbar'));

/** What dashboard this is, and what can be done with all of it. */
export function TitleBar({ scene }: { scene: DashboardScene }) {
  const styles = useStyles2(getStyles);
  const { dashboard, about, isEditing } = scene.useState();
  return (
    <header className={styles.bar}>
      <a href="/dashboards" className={styles.crumb}>
        Dashboards
      </a>
      <span className={styles.crumb}>/</span>
      {about?.folderTitle && (
        <>
          <a
            href={`/dashboards?folder=${encodeURIComponent(about.folderUid ?? '')}`}
            className={styles.crumb}
          >
            {about.folderTitle}
          </a>
          <span className={styles.crumb}>/</span>
        </>
      )}
      <h1 className={styles.title}>{dashboard.title}</h1>
      <span>
        <TagList tags={dashboard.tags} className={styles.tags} />
      </span>
      {scene.isProvisioned() && (
        <Badge
          text="Provisioned"
          color="blue"
          icon="file-alt"
          tooltip={`Comes from ${about?.sourceFile || 'a file'}: changes are saved as a copy`}
        />
      )}
      <span className={styles.spacer} />
      {isEditing ? (
        <Suspense>
          <EditToolbar scene={scene} />
        </Suspense>
      ) : (
        <Looking scene={scene} />
      )}
    </header>
  );
}

function Looking({ scene }: { scene: DashboardScene }) {
  const { dashboard, isStarred = false } = scene.useState();
  const [starred, setStarred] = useState(isStarred);
  const { isKept, user } = session();
  const star = async () => {
    await dashboards().star(dashboard.uid, !starred);
    setStarred(!starred);
  };
  return (
    <>
      {(!isKept || user) && (
        <ToolbarButton
          icon={starred ? 'favorite' : 'star'}
          iconOnly
          tooltip={starred ? 'Remove the star' : 'Mark with a star'}
          onClick={() => void star()}
        />
      )}
      <ToolbarButton
        icon="download-alt"
        iconOnly
        tooltip="Export"
        onClick={() => scene.show({ kind: 'export' })}
      />
      <ToolbarButton
        icon="monitor"
        iconOnly
        tooltip="Kiosk (leave with Escape)"
        onClick={() => locationService.partial({ kiosk: true })}
      />
      <More scene={scene} />
      {scene.isLocked() && (
        <Button
          size="sm"
          variant="secondary"
          icon="unlock"
          tooltip="The dashboard says that it is not to be changed"
          onClick={() => void scene.unlock()}
        >
          Make editable
        </Button>
      )}
      {scene.mayEdit() && (
        <Button size="sm" icon="pen" onClick={() => void scene.edit()}>
          Edit
        </Button>
      )}
    </>
  );
}

function More({ scene }: { scene: DashboardScene }) {
  const { user, isKept } = session();
  const { about } = scene.useState();
  const isKeptHere = isKept && scene.mayEdit() && !scene.isProvisioned() && about;
  if (!user && !isKeptHere) return null;
  const home = async () => {
    const { setHomeDashboard } = await import('~/api/preferences');
    await setHomeDashboard(scene.state.dashboard.uid);
  };
  const menu = (
    <Menu>
      {user && <Menu.Item label="Set as my home" icon="home-alt" onClick={() => void home()} />}
      {isKeptHere && (
        <>
          <Menu.Item
            label="Version history"
            icon="history"
            onClick={() => locationService.partial({ editView: 'versions' })}
          />
          <Menu.Item
            label="Move to a folder"
            icon="folder-upload"
            onClick={() => scene.show({ kind: 'move' })}
          />
          <Menu.Item
            label="Delete"
            icon="trash-alt"
            destructive
            onClick={() => scene.show({ kind: 'delete' })}
          />
        </>
      )}
    </Menu>
  );
  return (
    <Dropdown overlay={menu}>
      <ToolbarButton icon="ellipsis-v" iconOnly aria-label="More" />
    </Dropdown>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  bar: css({
    alignItems: 'center',
    borderBottom: `1px solid ${theme.colors.border.weak}`,
    display: 'flex',
    flexWrap: 'wrap',
    gap: theme.spacing(1),
    padding: theme.spacing(0.75, 2),
  }),
  crumb: css({ color: theme.colors.text.secondary }),
  title: css({ fontSize: theme.typography.h5.fontSize, fontWeight: 500, margin: 0 }),
  tags: css({ justifyContent: 'flex-start' }),
  spacer: css({ flex: '1 1 auto' }),
});
