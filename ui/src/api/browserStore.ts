/** Dashboards in the browser's database, beside those that come with the program. */
import type { DashboardJson } from '~/dashboard/model';
import type { DashboardStore, DashboardSummary } from './dashboards';

type Shipped = Record<string, () => Promise<{ default: DashboardJson }>>;
const shipped = import.meta.glob('../../dashboards/*.json') as unknown as Shipped;

const SHIPPED_FOLDER = 'Bartizan';
const IMPORTED_FOLDER = 'In this browser';

export class BrowserStore implements DashboardStore {
  async list(): Promise<DashboardSummary[]> {
    const own = (await this.#shipped()).map((json) => summary(json, true));
    const saved = (await all()).map((json) => summary(json, false));
    return [...own, ...saved].sort((a, b) => a.title.localeCompare(b.title));
  }

  async get(uid: string): Promise<unknown> {
    const own = await this.#shipped();
    return own.find((json) => json.uid === uid) ?? (await run('readonly', (store) => store.get(uid)));
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

  async #shipped(): Promise<DashboardJson[]> {
    const modules = await Promise.all(Object.values(shipped).map((load) => load()));
    return modules.map((module) => module.default);
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

const summary = ({ uid, title, tags }: DashboardJson, isProvisioned: boolean): DashboardSummary => ({
  uid,
  title,
  tags: tags ?? [],
  folder: isProvisioned ? SHIPPED_FOLDER : IMPORTED_FOLDER,
  isProvisioned,
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
