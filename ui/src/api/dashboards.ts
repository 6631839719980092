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
  folderUid?: string;
  /** Whether it comes from a file or with the program, and cannot be changed or deleted here. */
  isProvisioned: boolean;
  isStarred: boolean;
}

/** What is known of a dashboard besides its JSON. */
export interface About {
  uid: string;
  title: string;
  folderUid?: string | null;
  folderTitle?: string | null;
  /** Grows with each change. */
  version: number;
  createdMs?: number;
  createdBy?: string;
  updatedMs?: number;
  updatedBy?: string;
  /** The provider of the file it comes from; such a dashboard cannot be changed here. */
  provider?: string | null;
  sourceFile?: string | null;
}

export interface Version {
  version: number;
  message: string;
  restoredFrom?: number | null;
  createdMs: number;
  createdBy: string;
}

export interface SaveOptions {
  /** The folder it lies in; nothing is the top. */
  folderUid?: string | null | undefined;
  /** What was changed. */
  message?: string;
  /** Replaces what somebody else has stored meanwhile. */
  overwrite?: boolean;
}

export interface DashboardStore {
  /** Whether there are folders and earlier versions. */
  readonly hasHistory: boolean;
  list(): Promise<DashboardSummary[]>;
  /** The JSON as it was saved; undefined where there is none of that uid. */
  get(uid: string): Promise<unknown>;
  /** The same, with what is known of it. */
  open(uid: string): Promise<{ about: About; dashboard: unknown } | undefined>;
  /** Saves the version after the one that the dashboard says it is; another one is refused with status 409. */
  save(dashboard: DashboardJson, options: SaveOptions): Promise<About>;
  remove(uid: string): Promise<void>;
  star(uid: string, isStarred: boolean): Promise<void>;
  move(uid: string, folderUid: string | null): Promise<void>;
  versions(uid: string): Promise<Version[]>;
  version(uid: string, version: number): Promise<unknown>;
  restore(uid: string, version: number): Promise<About>;
}

interface Found {
  uid: string;
  title: string;
  tags?: string[];
  folderUid?: string | null;
  folderTitle?: string | null;
  isProvisioned?: boolean;
  isStarred?: boolean;
}

class ServerStore implements DashboardStore {
  readonly hasHistory = true;

  async list(): Promise<DashboardSummary[]> {
    const found = await request<Found[]>('/api/ui/search');
    return found.map(({ uid, title, tags, folderUid, folderTitle, isProvisioned, isStarred }) => ({
      uid,
      title,
      tags: tags ?? [],
      folder: folderTitle ?? '',
      ...(folderUid ? { folderUid } : {}),
      isProvisioned: isProvisioned ?? false,
      isStarred: isStarred ?? false,
    }));
  }

  async get(uid: string): Promise<unknown> {
    return (await this.open(uid))?.dashboard;
  }

  async open(uid: string): Promise<{ about: About; dashboard: unknown } | undefined> {
    try {
      const { dashboard, ...about } = await request<About & { dashboard: unknown }>(this.#path(uid));
      return { about, dashboard };
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  save(
    dashboard: DashboardJson,
    { folderUid, message = '', overwrite = false }: SaveOptions,
  ): Promise<About> {
    const body = { dashboard, folderUid: folderUid ?? null, message, overwrite };
    return request<About>('/api/ui/dashboards', { method: 'POST', body });
  }

  async remove(uid: string): Promise<void> {
    await request(this.#path(uid), { method: 'DELETE' });
  }

  async star(uid: string, isStarred: boolean): Promise<void> {
    await request(`/api/ui/user/stars/${encodeURIComponent(uid)}`, { method: isStarred ? 'PUT' : 'DELETE' });
  }

  async move(uid: string, folderUid: string | null): Promise<void> {
    await request(`${this.#path(uid)}/folder`, { method: 'PUT', body: { folderUid } });
  }

  versions(uid: string): Promise<Version[]> {
    return request(`${this.#path(uid)}/versions`);
  }

  version(uid: string, version: number): Promise<unknown> {
    return request(`${this.#path(uid)}/versions/${version}`);
  }

  restore(uid: string, version: number): Promise<About> {
    return request(`${this.#path(uid)}/restore/${version}`, { method: 'POST' });
  }

  #path = (uid: string) => `/api/ui/dashboards/${encodeURIComponent(uid)}`;
}

const server = new ServerStore();
const browser = new BrowserStore();

export const dashboards = (): DashboardStore => (session().isKept ? server : browser);
