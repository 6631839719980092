/** Dashboards in the browser's database. */
import type { DashboardJson } from '~/dashboard/model';
import type { About, DashboardStore, DashboardSummary, Version } from './dashboards';
import { ApiError } from './http';

const IMPORTED_FOLDER = 'In this browser';

export class BrowserStore implements DashboardStore {
  readonly hasHistory = false;

  async list(): Promise<DashboardSummary[]> {
    return (await all()).map(summary).sort((a, b) => a.title.localeCompare(b.title));
  }

  async get(uid: string): Promise<unknown> {
    return run('readonly', (store) => store.get(uid));
  }

  async open(uid: string): Promise<{ about: About; dashboard: unknown } | undefined> {
    const dashboard = (await this.get(uid)) as DashboardJson | undefined;
    return dashboard && { about: about(dashboard), dashboard };
  }

  async save(dashboard: DashboardJson): Promise<About> {
    const uid = dashboard.uid || crypto.randomUUID().slice(0, 13);
    const next = { ...dashboard, uid, version: (dashboard.version ?? 0) + 1 };
    await run('readwrite', (store) => store.put(next));
    return about(next);
  }

  async remove(uid: string): Promise<void> {
    await run('readwrite', (store) => store.delete(uid));
  }

  async star(uid: string, isStarred: boolean): Promise<void> {
    const starred = readStars();
    if (isStarred) starred.add(uid);
    else starred.delete(uid);
    localStorage.setItem(STARS, JSON.stringify([...starred]));
  }

  move(): Promise<void> {
    return Promise.reject(new ApiError('dashboards in this browser have no folders', 0));
  }

  async versions(): Promise<Version[]> {
    return [];
  }

  version(): Promise<unknown> {
    return Promise.reject(new ApiError('dashboards in this browser have no earlier versions', 0));
  }

  restore(): Promise<About> {
    return Promise.reject(new ApiError('dashboards in this browser have no earlier versions', 0));
  }
}

const STARS = 'bartizan.stars';

function readStars(): Set<string> {
  try {
    return new Set(JSON.parse(localStorage.getItem(STARS) ?? '[]') as string[]);
  } catch {
    return new Set();
  }
}

const about = ({ uid, title, version = 1 }: DashboardJson): About => ({ uid, title, version });

const summary = ({ uid, title, tags }: DashboardJson): DashboardSummary => ({
  uid,
  title,
  tags: tags ?? [],
  folder: IMPORTED_FOLDER,
  isProvisioned: false,
  isStarred: readStars().has(uid),
});

const DATABASE = 'bartizan';
const STORE = 'dashboards';

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: 'uid' });
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () =>
      reject(opening.error ?? new Error('the database of the browser cannot be opened'));
  });
}

async function run<T>(mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const database = await open();
  try {
    return await new Promise<T>((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const acting = act(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(acting.result);
      transaction.onerror = () =>
        reject(transaction.error ?? new Error('the database of the browser failed'));
    });
  } finally {
    database.close();
  }
}

const all = () => run<DashboardJson[]>('readonly', (store) => store.getAll() as IDBRequest<DashboardJson[]>);
