/** What several migrations of panels need. */

type Loose = Record<string, unknown>;

const REDUCERS: Record<string, string> = {
  avg: 'mean',
  current: 'lastNotNull',
  total: 'sum',
  last: 'lastNotNull',
  last_time: 'lastNotNull',
  name: 'lastNotNull',
  first: 'firstNotNull',
  count: 'count',
  delta: 'delta',
  diff: 'diff',
  range: 'range',
  min: 'min',
  max: 'max',
};

/** The function that an old panel calls by another name. */
export const reducerOf = (name: string): string => REDUCERS[name] ?? name;

/** Old panels name series, or match them where the name stands between slashes. */
export function seriesMatcher(alias: string): { id: string; options: string } {
  return alias.startsWith('/') ? { id: 'byRegexp', options: alias } : { id: 'byName', options: alias };
}

export function overrideFor(matcher: { id: string; options: unknown }, properties: Loose) {
  return { matcher, properties: Object.entries(properties).map(([id, value]) => ({ id, value })) };
}
