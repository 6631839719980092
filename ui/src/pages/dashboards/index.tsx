import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import {
  Alert,
  Dropdown,
  EmptyState,
  FilterInput,
  FilterPill,
  LinkButton,
  Menu,
  Button,
  MultiCombobox,
  useStyles2,
} from '@grafana/ui';
import { locationService } from '@grafana/runtime';
import { useCallback, useMemo, useState } from 'react';
import { useLocation } from 'react-router-dom';
import { dashboards } from '~/api/dashboards';
import { folders } from '~/api/folders';
import { homeDashboard } from '~/api/preferences';
import { may, session } from '~/api/session';
import { Page } from '~/app/Page';
import { useLoad } from '~/app/useLoad';
import { Actions, type Ask } from './actions';
import { Dialogs } from './Dialogs';
import { Tree } from './Tree';
import { countIn, findBranch, isFiltered, pruned, treeOf } from './folders';

async function load() {
  const [list, kept, home] = await Promise.all([
    dashboards().list(),
    session().isKept ? folders.list() : [],
    homeDashboard().catch(() => undefined),
  ]);
  return { list, kept, home };
}

/** All dashboards by folder; looked for by title and tag, and put in order. */
export default function Dashboards() {
  const { search: query, state } = useLocation();
  const { isSearch = false } = (state ?? {}) as { isSearch?: boolean };
  const folder = new URLSearchParams(query).get('folder') ?? '';
  const { value, error, reload } = useLoad(useCallback(load, []));
  const [search, setSearch] = useState('');
  const [tags, setTags] = useState<string[]>([]);
  const [isStarred, setStarred] = useState(false);
  const [asked, setAsked] = useState<Ask>();
  const [failure, setFailure] = useState<string>();
  const styles = useStyles2(getStyles);
  const { list, kept, home } = value ?? { list: [], kept: [], home: undefined };
  const wanted = useMemo(() => ({ search, tags, isStarred, folder }), [search, tags, isStarred, folder]);
  const tree = useMemo(() => treeOf(list, kept), [list, kept]);
  const root = useMemo(() => pruned(findBranch(tree, folder) ?? tree, wanted), [tree, folder, wanted]);
  const known = useMemo(() => [...new Set(list.flatMap((each) => each.tags))].sort(), [list]);
  const actions = useMemo(() => new Actions(reload, setFailure, setAsked), [reload]);
  const isEmpty = Boolean(value) && countIn(root) === 0 && root.folders.length === 0;
  return (
    <Page
      title={folder ? root.title : 'Dashboards'}
      error={error}
      actions={<New folder={folder} onFolder={() => setAsked({ kind: 'newFolder', parent: folder })} />}
    >
      {failure && (
        <Alert title="This did not work" severity="error" onRemove={() => setFailure(undefined)}>
          {failure}
        </Alert>
      )}
      <div className={styles.filters}>
        <FilterInput
          placeholder="Search for dashboards"
          value={search}
          onChange={setSearch}
          escapeRegex={false}
          autoFocus={isSearch}
        />
        <MultiCombobox
          aria-label="Filter by tag"
          placeholder="Filter by tag"
          width={30}
          options={known.map((tag) => ({ label: tag, value: tag }))}
          value={tags}
          onChange={(chosen) => setTags(chosen.map(({ value: tag }) => tag))}
        />
        <FilterPill
          label="Starred"
          icon="favorite"
          selected={isStarred}
          onClick={() => setStarred(!isStarred)}
        />
        {folder && (
          <Button
            variant="secondary"
            fill="text"
            icon="arrow-left"
            onClick={() => locationService.push('/dashboards')}
          >
            All folders
          </Button>
        )}
      </div>
      {isEmpty ? (
        <EmptyState
          variant={isFiltered(wanted) ? 'not-found' : 'call-to-action'}
          hideImage
          message={isFiltered(wanted) ? 'No dashboard is like that' : 'There is nothing here yet'}
        />
      ) : (
        <Tree
          branch={root}
          isRoot
          isOpen={isFiltered(wanted) || Boolean(folder)}
          home={home}
          actions={actions}
          onTag={(tag) => setTags([...new Set([...tags, tag])])}
        />
      )}
      <Dialogs asked={asked} actions={actions} folders={kept} onClose={() => setAsked(undefined)} />
    </Page>
  );
}

function New({ folder, onFolder }: { folder: string; onFolder: () => void }) {
  if (!may('editor')) return null;
  const query = folder ? `?folder=${encodeURIComponent(folder)}` : '';
  const menu = (
    <Menu>
      <Menu.Item
        label="New dashboard"
        icon="apps"
        onClick={() => locationService.push(`/dashboards/new${query}`)}
      />
      {session().isKept && <Menu.Item label="New folder" icon="folder-plus" onClick={onFolder} />}
      <Menu.Item
        label="Import"
        icon="upload"
        onClick={() => locationService.push(`/dashboards/import${query}`)}
      />
    </Menu>
  );
  return (
    <>
      <LinkButton icon="upload" variant="secondary" href={`/dashboards/import${query}`}>
        Import
      </LinkButton>
      <Dropdown overlay={menu} placement="bottom-end">
        <Button icon="plus">New</Button>
      </Dropdown>
    </>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  filters: css({
    alignItems: 'center',
    display: 'flex',
    flexWrap: 'wrap',
    gap: theme.spacing(1),
    '& > :first-child': { flex: '1 1 280px' },
  }),
});
