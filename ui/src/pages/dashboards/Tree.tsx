import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { Badge, Dropdown, Icon, IconButton, Menu, TagList, TextLink, useStyles2 } from '@grafana/ui';
import { locationService } from '@grafana/runtime';
import { useEffect, useState } from 'react';
import type { DashboardSummary } from '~/api/dashboards';
import { may, session } from '~/api/session';
import type { Actions } from './actions';
import { slug } from './slug';
import { countIn, type Branch } from './folders';

interface Props {
  branch: Branch;
  /** Whether it is what the page is of, which has no line of its own. */
  isRoot?: boolean;
  /** Whether folders are open to begin with. */
  isOpen: boolean;
  /** The dashboard this user begins with. */
  home: string | undefined;
  actions: Actions;
  onTag: (tag: string) => void;
}

/** A folder and all that lies in it. */
export function Tree({ branch, isRoot = false, isOpen: isOpenFirst, home, actions, onTag }: Props) {
  const styles = useStyles2(getStyles);
  const [isOpen, setOpen] = useState(
    isRoot || isOpenFirst || branch.folders.length + branch.dashboards.length < 40,
  );
  useEffect(() => {
    if (isOpenFirst) setOpen(true);
  }, [isOpenFirst]);
  const { title, folder, folders, dashboards } = branch;
  const count = countIn(branch);
  return (
    <section className={styles.branch} aria-label={isRoot ? undefined : `Folder ${title}`}>
      {!isRoot && (
        <div className={styles.row}>
          <button
            type="button"
            className={styles.folder}
            aria-expanded={isOpen}
            onClick={() => setOpen(!isOpen)}
          >
            <Icon name={isOpen ? 'angle-down' : 'angle-right'} />
            <Icon name={isOpen ? 'folder-open' : 'folder'} />
            <span>{title}</span>
          </button>
          <span className={styles.count}>{count === 1 ? '1 dashboard' : `${count} dashboards`}</span>
          <span className={styles.spacer} />
          {folder && may('editor') && <FolderMenu branch={branch} actions={actions} />}
        </div>
      )}
      {isOpen && (
        <div className={isRoot ? undefined : styles.inside}>
          {folders.map((inner) => (
            <Tree
              key={inner.uid}
              branch={inner}
              isOpen={isOpenFirst}
              home={home}
              actions={actions}
              onTag={onTag}
            />
          ))}
          {dashboards.map((dashboard) => (
            <Row
              key={dashboard.uid}
              dashboard={dashboard}
              isHome={dashboard.uid === home}
              actions={actions}
              onTag={onTag}
            />
          ))}
        </div>
      )}
    </section>
  );
}

function FolderMenu({ branch, actions }: { branch: Branch; actions: Actions }) {
  const { folder, title, uid } = branch;
  if (!folder) return null;
  const menu = (
    <Menu>
      <Menu.Item
        label="Open"
        icon="folder-open"
        onClick={() => locationService.push(`/dashboards?folder=${uid}`)}
      />
      <Menu.Item
        label="New dashboard here"
        icon="plus"
        onClick={() => locationService.push(`/dashboards/new?folder=${uid}`)}
      />
      <Menu.Item
        label="New folder here"
        icon="folder-plus"
        onClick={() => actions.ask({ kind: 'newFolder', parent: uid })}
      />
      <Menu.Item label="Rename" icon="pen" onClick={() => actions.ask({ kind: 'renameFolder', folder })} />
      <Menu.Item
        label="Move"
        icon="folder-upload"
        onClick={() => actions.ask({ kind: 'moveFolder', folder })}
      />
      <Menu.Item
        label="Delete"
        icon="trash-alt"
        destructive
        onClick={() => actions.ask({ kind: 'deleteFolder', folder, count: countIn(branch) })}
      />
    </Menu>
  );
  return (
    <Dropdown overlay={menu} placement="bottom-end">
      <IconButton name="ellipsis-v" aria-label={`Actions of folder ${title}`} />
    </Dropdown>
  );
}

interface RowProps {
  dashboard: DashboardSummary;
  isHome: boolean;
  actions: Actions;
  onTag: (tag: string) => void;
}

function Row({ dashboard, isHome, actions, onTag }: RowProps) {
  const styles = useStyles2(getStyles);
  const { uid, title, tags, isStarred, isProvisioned } = dashboard;
  const { isKept, user } = session();
  const mayChange = may('editor') && !isProvisioned;
  return (
    <div className={styles.row}>
      {(!isKept || user) && (
        <IconButton
          name={isStarred ? 'favorite' : 'star'}
          {...(isStarred ? { iconType: 'mono' as const } : {})}
          aria-label={isStarred ? `Remove the star of ${title}` : `Mark ${title} with a star`}
          onClick={() => void actions.star(dashboard)}
        />
      )}
      <Icon name="apps" className={styles.icon} />
      <TextLink href={`/d/${uid}/${slug(title)}`} color="primary" inline={false}>
        {title}
      </TextLink>
      {isHome && <Badge text="Home" color="green" icon="home-alt" />}
      <span className={styles.spacer} />
      <TagList tags={tags} onClick={onTag} />
      {(mayChange || user) && (
        <Dropdown
          overlay={
            <DashboardMenu dashboard={dashboard} isHome={isHome} mayChange={mayChange} actions={actions} />
          }
          placement="bottom-end"
        >
          <IconButton name="ellipsis-v" aria-label={`Actions of ${title}`} />
        </Dropdown>
      )}
    </div>
  );
}

interface MenuProps {
  dashboard: DashboardSummary;
  isHome: boolean;
  mayChange: boolean;
  actions: Actions;
}

function DashboardMenu({ dashboard, isHome, mayChange, actions }: MenuProps) {
  const { user, isKept } = session();
  return (
    <Menu>
      {user && (
        <Menu.Item
          label={isHome ? 'Not my home any more' : 'Set as my home'}
          icon="home-alt"
          onClick={() => void actions.makeHome(isHome ? undefined : dashboard.uid)}
        />
      )}
      {mayChange && isKept && (
        <Menu.Item
          label="Move"
          icon="folder-upload"
          onClick={() => actions.ask({ kind: 'moveDashboard', dashboard })}
        />
      )}
      {mayChange && (
        <Menu.Item
          label="Delete"
          icon="trash-alt"
          destructive
          onClick={() => actions.ask({ kind: 'deleteDashboard', dashboard })}
        />
      )}
    </Menu>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  branch: css({ display: 'flex', flexDirection: 'column' }),
  row: css({
    alignItems: 'center',
    borderBottom: `1px solid ${theme.colors.border.weak}`,
    display: 'flex',
    gap: theme.spacing(1),
    minHeight: 36,
    padding: theme.spacing(0.5, 1),
    '&:hover': { background: theme.colors.action.hover },
  }),
  folder: css({
    alignItems: 'center',
    background: 'none',
    border: 0,
    display: 'flex',
    fontWeight: 500,
    gap: theme.spacing(1),
    padding: theme.spacing(0.5, 0),
  }),
  inside: css({ paddingLeft: theme.spacing(3) }),
  count: css({
    color: theme.colors.text.secondary,
    fontSize: theme.typography.bodySmall.fontSize,
    // What the pointer is on is lighter, and a faint text on it too faint.
    'div:hover > &': { color: theme.colors.text.primary },
  }),
  icon: css({ color: theme.colors.text.secondary }),
  spacer: css({ flex: '1 1 auto' }),
});
