/** Folders with what lies in them, as a list that can be searched. */
import type { DashboardSummary } from '~/api/dashboards';
import type { Folder } from '~/api/folders';
import { fuzzyMatch } from '@grafana/ui';

/** A folder, or what lies in none where it has no uid. */
export interface Branch {
  uid: string;
  title: string;
  folder?: Folder;
  folders: Branch[];
  dashboards: DashboardSummary[];
}

export interface Wanted {
  search: string;
  tags: string[];
  isStarred: boolean;
  /** Only what lies in this folder. */
  folder: string;
}

export const isFiltered = ({ search, tags, isStarred }: Wanted): boolean =>
  Boolean(search.trim()) || tags.length > 0 || isStarred;

export function treeOf(list: DashboardSummary[], folders: Folder[]): Branch {
  const branch = (uid: string, title: string, folder?: Folder): Branch => ({
    uid,
    title,
    ...(folder ? { folder } : {}),
    folders: folders
      .filter(({ parentUid }) => (parentUid ?? '') === uid)
      .sort((a, b) => a.title.localeCompare(b.title))
      .map((each) => branch(each.uid, each.title, each)),
    dashboards: list.filter(({ folderUid }) => (folderUid ?? '') === uid),
  });
  return branch('', 'Dashboards');
}

export function findBranch(tree: Branch, uid: string): Branch | undefined {
  if (tree.uid === uid) return tree;
  for (const inner of tree.folders) {
    const found = findBranch(inner, uid);
    if (found) return found;
  }
  return undefined;
}

export const countIn = (tree: Branch): number =>
  tree.folders.reduce((sum, inner) => sum + countIn(inner), tree.dashboards.length);

/**
 * The part of the tree that is wanted; folders in which nothing is, are left out once something is looked for. Whoever knows a
 * folder finds what lies in it however deep: `way` is the titles of the folders around the tree.
 */
export function pruned(tree: Branch, wanted: Wanted, way = ''): Branch {
  if (!isFiltered(wanted)) return tree;
  const titles = tree.uid ? `${way} ${tree.title}` : way;
  const inner = tree.folders.map((each) => pruned(each, wanted, titles)).filter((each) => countIn(each) > 0);
  const found = tree.dashboards.filter((each) => matches(each, wanted, titles));
  return { ...tree, folders: inner, dashboards: found };
}

function matches({ title, tags, folder, isStarred }: DashboardSummary, wanted: Wanted, way: string): boolean {
  if (wanted.isStarred && !isStarred) return false;
  if (!wanted.tags.every((tag) => tags.includes(tag))) return false;
  const words = wanted.search.toLowerCase().split(/\s+/).filter(Boolean);
  const text = `${title} ${folder} ${way} ${tags.join(' ')}`.toLowerCase();
  return words.every((word) => text.includes(word)) || fuzzyMatch(title.toLowerCase(), words.join(' ')).found;
}

/** Whether a folder is another one or lies in it, however deep. */
export function isWithin(folder: Folder, uid: string, all: Folder[]): boolean {
  if (folder.uid === uid) return true;
  const parent = all.find((each) => each.uid === folder.parentUid);
  return parent ? isWithin(parent, uid, all) : false;
}
