import { expect, it } from 'vitest';
import type { DashboardSummary } from '~/api/dashboards';
import { pathOf } from '~/api/folders';
import { type Wanted, countIn, findBranch, isWithin, pruned, treeOf } from './folders';

const folders = [
  { uid: 'a', title: 'Alpha', dashboards: 1 },
  { uid: 'b', title: 'Beta', parentUid: 'a', dashboards: 1 },
  { uid: 'c', title: 'Empty', dashboards: 0 },
];
const dashboard = (uid: string, title: string, rest: Partial<DashboardSummary>): DashboardSummary => ({
  uid,
  title,
  tags: [],
  folder: '',
  isProvisioned: false,
  isStarred: false,
  ...rest,
});
const list = [
  dashboard('1', 'Node overview', { folderUid: 'a', folder: 'Alpha', tags: ['host'] }),
  dashboard('2', 'Pods', { folderUid: 'b', folder: 'Beta', isStarred: true, tags: ['host', 'k8s'] }),
  dashboard('3', 'Alone', {}),
];
const nothing: Wanted = { search: '', tags: [], isStarred: false, folder: '' };
const titles = (branch: ReturnType<typeof treeOf>): string[] => [
  ...branch.dashboards.map(({ title }) => title),
  ...branch.folders.flatMap(titles),
];

it('folders lie in each other, and empty ones are shown until something is looked for', () => {
  const tree = treeOf(list, folders);
  expect(tree.folders.map(({ title }) => title)).toEqual(['Alpha', 'Empty']);
  expect([countIn(tree), countIn(tree.folders[0] ?? tree)]).toEqual([3, 2]);
  expect(findBranch(tree, 'b')?.dashboards.map(({ uid }) => uid)).toEqual(['2']);
  expect(pruned(tree, nothing)).toBe(tree);
  expect(pruned(tree, { ...nothing, search: 'pod' }).folders.map(({ title }) => title)).toEqual(['Alpha']);
});

it('dashboards are found by words of title, folder and tags, by tags and by stars', () => {
  const tree = treeOf(list, folders);
  const found = (wanted: Partial<Wanted>) => titles(pruned(tree, { ...nothing, ...wanted }));
  expect(found({ search: 'OVER node' })).toEqual(['Node overview']);
  expect(found({ search: 'beta' })).toEqual(['Pods']);
  // Through the folders around its own, too.
  expect(found({ search: 'alpha' })).toEqual(['Node overview', 'Pods']);
  expect(found({ search: 'alpha pods' })).toEqual(['Pods']);
  expect(found({ tags: ['host'] })).toEqual(['Node overview', 'Pods']);
  expect(found({ tags: ['host', 'k8s'] })).toEqual(['Pods']);
  expect(found({ isStarred: true })).toEqual(['Pods']);
  expect(found({ search: 'nothing at all' })).toEqual([]);
});

it('a folder is called by the way to it', () => {
  expect(folders.map((folder) => pathOf(folder, folders))).toEqual(['Alpha', 'Alpha / Beta', 'Empty']);
});

it('a folder lies in itself and in those around it', () => {
  const within = (uid: string) =>
    folders.filter((each) => isWithin(each, uid, folders)).map(({ title }) => title);
  expect([within('a'), within('b'), within('c')]).toEqual([['Alpha', 'Beta'], ['Beta'], ['Empty']]);
});
