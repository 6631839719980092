/** JSON read and changed by paths such as `custom.lineWidth`; what is changed is never the value that was given. */

type Loose = Record<string, unknown>;

export const isObject = (value: unknown): value is Loose =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export function getIn(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((at, key) => (isObject(at) ? at[key] : undefined), value);
}

/** With another value at the path; without what is there if that is undefined. */
export function setIn<T extends object>(value: T | undefined, path: string, next: unknown): T {
  const [key = '', ...rest] = path.split('.');
  const copy: Loose = { ...(value as Loose | undefined) };
  if (rest.length) copy[key] = setIn(isObject(copy[key]) ? copy[key] : {}, rest.join('.'), next);
  else if (next === undefined) delete copy[key];
  else copy[key] = next;
  return copy as T;
}

/** Whether two values are the same JSON: what is undefined is not there, and no number is infinite. */
export function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a === 'number' || typeof b === 'number') return plain(a) === plain(b);
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((each, index) => isSame(each, b[index]));
  if (!isObject(a) || !isObject(b)) return false;
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every((key) => isSame(a[key], b[key]));
}

const plain = (value: unknown) => (typeof value === 'number' && !Number.isFinite(value) ? null : value);

/** A list with one thing at another place. */
export function moved<T>(list: T[], from: number, to: number): T[] {
  const rest = list.filter((_, index) => index !== from);
  const thing = list[from];
  if (thing === undefined || to < 0 || to >= list.length) return list;
  return [...rest.slice(0, to), thing, ...rest.slice(to)];
}

export const replacedAt = <T>(list: T[], at: number, value: T): T[] =>
  list.map((each, index) => (index === at ? value : each));

export const removedAt = <T>(list: T[], at: number): T[] => list.filter((_, index) => index !== at);
