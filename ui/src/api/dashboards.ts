/** Where dashboards are kept: by the server, or in this browser where the server keeps none. */
import type { DashboardJson } from '~/dashboard/model';
import { BrowserStore } from './browserStore';
import { ApiError, request } from './http';
import { session } from './session';

export interface DashboardSummary {
  uid: string;
  title: string;
  tags: string[];
  folder: string;
  /** Whether it comes from a file or with the program, and cannot be changed or deleted here. */
  isProvisioned: boolean;
  isStarred: boolean;
}

export interface DashboardStore {
  list(): Promise<DashboardSummary[]>;
  /** The JSON as it was saved; undefined where there is none of that uid. */
  get(uid: string): Promise<unknown>;
  /** Saves under the dashboard's uid in place of what is there. */
  save(dashboard: DashboardJson): Promise<void>;
  remove(uid: string): Promise<void>;
  star(uid: string, isStarred: boolean): Promise<void>;
}

interface Found {
  uid: string;
  title: string;
  tags?: string[];
  folderTitle?: string | null;
  isProvisioned?: boolean;
  isStarred?: boolean;
}

class ServerStore implements DashboardStore {
  async list(): Promise<DashboardSummary[]> {
    const found = await request<Found[]>('/api/ui/search');
    return found.map(({ uid, title, tags, folderTitle, isProvisioned, isStarred }) => ({
      uid,
      title,
      tags: tags ?? [],
      folder: folderTitle ?? '',
      isProvisioned: isProvisioned ?? false,
      isStarred: isStarred ?? false,
    }));
  }

  async get(uid: string): Promise<unknown> {
    try {
      return (await request<{ dashboard: unknown }>(this.#path(uid))).dashboard;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  async save(dashboard: DashboardJson): Promise<void> {
    await request('/api/ui/dashboards', { method: 'POST', body: { dashboard, overwrite: true } });
  }

  async remove(uid: string): Promise<void> {
    await request(this.#path(uid), { method: 'DELETE' });
  }

  async star(uid: string, isStarred: boolean): Promise<void> {
    await request(`/api/ui/user/stars/${encodeURIComponent(uid)}`, { method: isStarred ? 'PUT' : 'DELETE' });
  }

  #path = (uid: string) => `/api/ui/dashboards/${encodeURIComponent(uid)}`;
}

const server = new ServerStore();
const browser = new BrowserStore();

export const dashboards = (): DashboardStore => (session().isKept ? server : browser);
