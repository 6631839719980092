import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { FilterInput, IconButton, LinkButton, TagList, TextLink, fuzzyMatch, useStyles2 } from '@grafana/ui';
import { useCallback, useMemo, useState } from 'react';
import { may } from '~/api/session';
import { dashboards, type DashboardSummary } from '~/api/dashboards';
import { Page } from '~/app/Page';
import { useLoad } from '~/app/useLoad';
import { slug } from './slug';

/** All dashboards, by folder, searched by title and tag. */
export default function Dashboards() {
  const { value = [], error, reload } = useLoad(useCallback(() => dashboards().list(), []));
  const [search, setSearch] = useState('');
  const folders = useMemo(() => byFolder(value.filter((each) => matches(each, search))), [value, search]);
  const remove = async ({ uid }: DashboardSummary) => {
    await dashboards().remove(uid);
    reload();
  };
  return (
    <Page
      title="Dashboards"
      error={error}
      actions={
        <LinkButton icon="upload" href="/dashboards/import" disabled={!may('editor')}>
          Import
        </LinkButton>
      }
    >
      <FilterInput
        placeholder="Search by title or tag"
        value={search}
        onChange={setSearch}
        escapeRegex={false}
      />
      {[...folders].map(([folder, list]) => (
        <Folder key={folder} name={folder} list={list} onTag={setSearch} onRemove={remove} />
      ))}
    </Page>
  );
}

interface FolderProps {
  name: string;
  list: DashboardSummary[];
  onTag: (tag: string) => void;
  onRemove: (dashboard: DashboardSummary) => Promise<void>;
}

function Folder({ name, list, onTag, onRemove }: FolderProps) {
  const styles = useStyles2(getStyles);
  return (
    <section>
      <h2 className={styles.folder}>{name}</h2>
      {list.map((dashboard) => (
        <div key={dashboard.uid} className={styles.row}>
          <TextLink href={`/d/${dashboard.uid}/${slug(dashboard.title)}`} color="primary" inline={false}>
            {dashboard.title}
          </TextLink>
          <span className={styles.tags}>
            <TagList tags={dashboard.tags} onClick={onTag} />
          </span>
          {!dashboard.isProvisioned && may('editor') && (
            <IconButton
              name="trash-alt"
              aria-label={`Delete ${dashboard.title}`}
              onClick={() => void onRemove(dashboard)}
            />
          )}
        </div>
      ))}
    </section>
  );
}

function matches({ title, tags }: DashboardSummary, search: string): boolean {
  if (!search) return true;
  const needle = search.toLowerCase();
  return (
    fuzzyMatch(title.toLowerCase(), needle).found || tags.some((tag) => tag.toLowerCase().includes(needle))
  );
}

function byFolder(list: DashboardSummary[]): Map<string, DashboardSummary[]> {
  const folders = new Map<string, DashboardSummary[]>();
  for (const dashboard of list)
    folders.set(dashboard.folder, [...(folders.get(dashboard.folder) ?? []), dashboard]);
  return folders;
}

const getStyles = (theme: GrafanaTheme2) => ({
  folder: css({ fontSize: theme.typography.h5.fontSize, margin: theme.spacing(1, 0) }),
  row: css({
    alignItems: 'center',
    borderBottom: `1px solid ${theme.colors.border.weak}`,
    display: 'flex',
    gap: theme.spacing(1),
    padding: theme.spacing(0.75, 1),
    '&:hover': { background: theme.colors.action.hover },
  }),
  tags: css({ flex: '1 1 auto' }),
});
