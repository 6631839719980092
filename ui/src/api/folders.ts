/** Folders of dashboards, as the server keeps them. */
import { request } from './http';

export interface Folder {
  uid: string;
  title: string;
  parentUid?: string | null;
  /** How many dashboards lie in it, not counting those in folders of its own. */
  dashboards: number;
}

const path = (uid: string) => `/api/ui/folders/${encodeURIComponent(uid)}`;

export const folders = {
  list: (): Promise<Folder[]> => request('/api/ui/folders'),
  create: (title: string, parentUid: string | null): Promise<Folder> =>
    request('/api/ui/folders', { method: 'POST', body: { title, parentUid } }),
  rename: (uid: string, title: string): Promise<Folder> =>
    request(path(uid), { method: 'PUT', body: { title } }),
  move: (uid: string, parentUid: string | null): Promise<Folder> =>
    request(`${path(uid)}/parent`, { method: 'PUT', body: { parentUid } }),
  /** With all that lies in it. */
  remove: (uid: string): Promise<void> => request(path(uid), { method: 'DELETE' }),
};

/** A folder's title behind those it lies in. */
export function pathOf(folder: Folder, all: Folder[]): string {
  const parent = all.find(({ uid }) => uid === folder.parentUid);
  return parent ? `${pathOf(parent, all)} / ${folder.title}` : folder.title;
}
