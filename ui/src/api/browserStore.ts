/** Dashboards in the browser's database. */
import type { DashboardJson } from '~/dashboard/model';
import type { DashboardStore, DashboardSummary } from './dashboards';

const IMPORTED_FOLDER = 'In this browser';

export class BrowserStore implements DashboardStore {
  async list(): Promise<DashboardSummary[]> {
    return (await all()).map(summary).sort((a, b) => a.title.localeCompare(b.title));
  }

  async get(uid: string): Promise<unknown> {
    return run('readonly', (store) => store.get(uid));
  }

  async save(dashboard: DashboardJson): Promise<void> {
    await run('readwrite', (store) => store.put(dashboard));
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
}

const STARS = 'bartizan.stars';

function readStars(): Set<string> {
  try {
    return new Set(JSON.parse(localStorage.getItem(STARS) ?? '[]') as string[]);
  } catch {
    return new Set();
  }
}

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
