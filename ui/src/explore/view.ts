/** How what was found is shown; short words in the address for what is not as usual. */
import type { Dedup } from '~/panels/logs/lines';

export interface View {
  /** What is shown of metrics. */
  metrics: 'both' | 'graph' | 'table' | 'explain';
  style: 'lines' | 'bars' | 'points' | 'stacked';
  exemplars: boolean;
  /** What is shown of logs. */
  logs: 'lines' | 'patterns' | 'fields';
  wrap: boolean;
  time: boolean;
  uniqueLabels: boolean;
  prettify: boolean;
  dedup: Dedup;
  order: 'Descending' | 'Ascending';
  /** How many lines are asked for. */
  limit: number;
  /** Fields shown before the line. */
  columns: string[];
}

/** A server answers with no more lines than the last of these unless it is told to. */
export const LIMITS = [100, 500, 1000, 5000];

export const VIEW_DEFAULTS: View = {
  metrics: 'both',
  style: 'lines',
  exemplars: true,
  logs: 'lines',
  wrap: true,
  time: true,
  uniqueLabels: false,
  prettify: false,
  dedup: 'none',
  order: 'Descending',
  limit: 1000,
  columns: [],
};

/** Each word and what it says. */
const WORDS: Record<string, Partial<View>> = {
  graph: { metrics: 'graph' },
  table: { metrics: 'table' },
  explain: { metrics: 'explain' },
  bars: { style: 'bars' },
  points: { style: 'points' },
  stacked: { style: 'stacked' },
  noexemplars: { exemplars: false },
  patterns: { logs: 'patterns' },
  fields: { logs: 'fields' },
  nowrap: { wrap: false },
  notime: { time: false },
  labels: { uniqueLabels: true },
  pretty: { prettify: true },
  exact: { dedup: 'exact' },
  numbers: { dedup: 'numbers' },
  signature: { dedup: 'signature' },
  oldest: { order: 'Ascending' },
};
const COLUMN = 'col:';
const LIMIT = 'limit:';

export function writeView(view: View): string {
  const words = Object.entries(WORDS).filter(([, says]) =>
    Object.entries(says).every(([name, value]) => view[name as keyof View] === value),
  );
  const limit = view.limit === VIEW_DEFAULTS.limit ? [] : [`${LIMIT}${view.limit}`];
  const columns = view.columns.map((name) => `${COLUMN}${name}`);
  return [...words.map(([word]) => word), ...limit, ...columns].join(',');
}

export function readView(text: string | undefined): View {
  const view = { ...VIEW_DEFAULTS, columns: [] as string[] };
  for (const word of text?.split(',') ?? []) {
    if (word.startsWith(COLUMN)) view.columns.push(word.slice(COLUMN.length));
    else if (word.startsWith(LIMIT)) view.limit = knownLimit(Number(word.slice(LIMIT.length)));
    else if (Object.hasOwn(WORDS, word)) Object.assign(view, WORDS[word]);
  }
  return view;
}

const knownLimit = (limit: number) => (LIMITS.includes(limit) ? limit : VIEW_DEFAULTS.limit);
