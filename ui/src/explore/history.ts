/** Queries that were run, kept in the browser for each user: newest first, with those marked by a star. */
import { session } from '~/api/session';

export interface Remembered {
  /** The data source it was asked of. */
  datasource: string;
  queries: string[];
  /** Milliseconds since the epoch. */
  atMs: number;
  starred: boolean;
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
export function withRun(history: Remembered[], run: Omit<Remembered, 'starred'>): Remembered[] {
  const added = { ...run, starred: false };
  const before = history.find((each) => isSame(each, added));
  const rest = history.filter((each) => each !== before);
  let room = KEPT_MAX - 1;
  const kept = rest.filter(({ starred }) => starred || room-- > 0);
  return [{ ...added, starred: before?.starred ?? false }, ...kept];
}

export function withStar(history: Remembered[], entry: Remembered, starred: boolean): Remembered[] {
  return history.map((each) => (isSame(each, entry) ? { ...each, starred } : each));
}

export function without(history: Remembered[], entry: Remembered): Remembered[] {
  return history.filter((each) => !isSame(each, entry));
}

/** What holds all words of `text`, in any order. */
export function found(history: Remembered[], text: string, onlyStarred: boolean): Remembered[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return history.filter(({ queries, starred }) => {
    const all = queries.join('\n').toLowerCase();
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
  if (asked.length) saveHistory(withRun(loadHistory(), { datasource, queries: asked, atMs: Date.now() }));
}
