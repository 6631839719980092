/**
 * Queries that were run, newest first, with those marked by a star: kept by the server for who has logged in, in the browser
 * for others.
 */
import { runs } from '~/api/history';
import { session } from '~/api/session';

export interface Remembered {
  /** What names it where the server keeps it. */
  id?: number;
  /** The data source it was asked of. */
  datasource: string;
  queries: string[];
  /** Milliseconds since the epoch. */
  atMs: number;
  starred: boolean;
  /** What its user says about it. */
  comment?: string;
}

/** More than these are forgotten, oldest first; those with a star stay. */
const KEPT_MAX = 200;

const key = () => `bartizan.explore.history.${session().user?.login ?? ''}`;

export function loadHistory(): Remembered[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(key()) ?? '[]');
    return Array.isArray(stored) ? stored.filter(isRemembered) : [];
  } catch {
    return [];
  }
}

function isRemembered(value: unknown): value is Remembered {
  const { datasource, queries, atMs } = (value ?? {}) as Partial<Remembered>;
  return (
    typeof datasource === 'string' &&
    typeof atMs === 'number' &&
    Array.isArray(queries) &&
    queries.every((query) => typeof query === 'string')
  );
}

const isSame = (a: Remembered, b: Remembered) =>
  a.datasource === b.datasource && JSON.stringify(a.queries) === JSON.stringify(b.queries);

/** Puts a run at the front; one like it that was there before gives way to it, and its star is kept. */
export function withRun(
  history: Remembered[],
  run: Pick<Remembered, 'datasource' | 'queries' | 'atMs'>,
): Remembered[] {
  const added = { ...run, starred: false };
  const before = history.find((each) => isSame(each, added));
  const rest = history.filter((each) => each !== before);
  let room = KEPT_MAX - 1;
  const kept = rest.filter(({ starred }) => starred || room-- > 0);
  return [{ ...before, ...run, starred: before?.starred ?? false }, ...kept];
}

/** What changes about a run. */
export type Change = { starred?: boolean; comment?: string };

export function withChange(history: Remembered[], entry: Remembered, change: Change): Remembered[] {
  return history.map((each) => (isSame(each, entry) ? { ...each, ...change } : each));
}

export function without(history: Remembered[], entry: Remembered): Remembered[] {
  return history.filter((each) => !isSame(each, entry));
}

/** What holds all words of `text`, in any order. */
export function found(history: Remembered[], text: string, onlyStarred: boolean): Remembered[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return history.filter(({ queries, starred, comment = '' }) => {
    const all = [...queries, comment].join('\n').toLowerCase();
    return (starred || !onlyStarred) && words.every((word) => all.includes(word));
  });
}

export function saveHistory(history: Remembered[]): void {
  try {
    localStorage.setItem(key(), JSON.stringify(history));
  } catch {
    // A browser that keeps nothing remembers nothing.
  }
}

export function rememberRun(datasource: string, queries: string[]): void {
  const asked = queries.filter((query) => query.trim());
  if (!asked.length) return;
  if (isShared()) {
    // What cannot be kept is asked all the same.
    void runs.add({ datasource, queries: asked }).catch(() => undefined);
    return;
  }
  saveHistory(withRun(loadHistory(), { datasource, queries: asked, atMs: Date.now() }));
}

/** Whether the server keeps it, so that it is there in every browser of the user. */
export const isShared = () => session().isKept && Boolean(session().user);

/** The runs that hold all words of `text`. */
export async function listRuns(text: string, onlyStarred: boolean): Promise<Remembered[]> {
  if (!isShared()) return found(loadHistory(), text, onlyStarred);
  await moveToServer();
  return runs.list(text, onlyStarred);
}

export async function changeRun(entry: Remembered, change: Change): Promise<void> {
  if (entry.id === undefined) saveHistory(withChange(loadHistory(), entry, change));
  else await runs.change(entry.id, change);
}

export async function forgetRun(entry: Remembered): Promise<void> {
  if (entry.id === undefined) saveHistory(without(loadHistory(), entry));
  else await runs.remove(entry.id);
}

/** Hands over what this browser kept for the user before the server did. What fails is tried another time. */
async function moveToServer(): Promise<void> {
  for (const entry of loadHistory()) {
    try {
      const { datasource, queries, atMs, starred } = entry;
      const { id } = await runs.add({ datasource, queries, atMs });
      if (starred) await runs.change(id, { starred });
    } catch {
      return;
    }
    saveHistory(without(loadHistory(), entry));
  }
}
