/**
 * Where dashboards are kept. Until the server keeps them there are those that come with the program, and those that
 * were imported, which stay in this browser.
 */
import type { DashboardJson } from '~/dashboard/model';

export interface DashboardSummary {
  uid: string;
  title: string;
  tags: string[];
  folder: string;
  /** Whether it comes with the program, and cannot be changed or deleted. */
  shipped: boolean;
}

export interface DashboardStore {
  list(): Promise<DashboardSummary[]>;
  /** The JSON as it was saved; undefined where there is none of that uid. */
  get(uid: string): Promise<unknown>;
  /** Saves under the dashboard's uid in place of what is there. */
  save(dashboard: DashboardJson): Promise<void>;
  remove(uid: string): Promise<void>;
}

type Shipped = Record<string, () => Promise<{ default: DashboardJson }>>;
const shipped = import.meta.glob('../../dashboards/*.json') as unknown as Shipped;

export const SHIPPED_FOLDER = 'Bartizan';
export const IMPORTED_FOLDER = 'Imported';

class BrowserStore implements DashboardStore {
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

  async #shipped(): Promise<DashboardJson[]> {
    const modules = await Promise.all(Object.values(shipped).map((load) => load()));
    return modules.map((module) => module.default);
  }
}

const summary = ({ uid, title, tags }: DashboardJson, isShipped: boolean): DashboardSummary => ({
  uid,
  title,
  tags: tags ?? [],
  folder: isShipped ? SHIPPED_FOLDER : IMPORTED_FOLDER,
  shipped: isShipped,
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

export const dashboards: DashboardStore = new BrowserStore();
