/** What Explore shows, as its address says it, so that a link restores everything. */
import { encodeParameters, type Parameters } from '~/api/http';
import { VIEW_DEFAULTS, readView, writeView, type View } from './view';

export interface ExploreQuery {
  refId: string;
  expr: string;
  instant?: boolean;
  range?: boolean;
  legendFormat?: string;
  /** Kept, but not asked. */
  hide?: boolean;
}

/** One half of the page, or all of it. */
export interface PaneState {
  datasource?: string;
  queries: ExploreQuery[];
  from: string;
  to: string;
  view: View;
}

export interface ExploreState extends PaneState {
  /** What stands beside it, where the view is split. */
  right?: PaneState;
  /** Whether both halves show the same time. */
  synced: boolean;
}

/** What a link has to say; the rest is as it usually is. */
export type ExploreLink = Pick<ExploreState, 'queries' | 'from' | 'to'> & Partial<ExploreState>;

export const PANE_DEFAULTS: PaneState = {
  queries: [{ refId: 'A', expr: '' }],
  from: 'now-1h',
  to: 'now',
  view: VIEW_DEFAULTS,
};
export const EXPLORE_DEFAULTS: ExploreState = { ...PANE_DEFAULTS, synced: true };

/** Queries are named in the order in which they stand. */
export const refIdAt = (index: number) => String.fromCharCode(65 + (index % 26));

export function exploreHref(state: ExploreLink): string {
  const { right, synced = true } = state;
  const parameters: Parameters = {
    ...written(state, ''),
    ...(right ? written(right, 'r.') : {}),
    // Times that are the same need not be said twice.
    ...(right && synced ? { 'r.from': undefined, 'r.to': undefined } : {}),
    split: right ? (synced ? 'synced' : 'apart') : undefined,
  };
  return `/explore?${encodeParameters(parameters)}`;
}

function written({ datasource, queries, from, to, view }: Partial<PaneState>, prefix: string): Parameters {
  return {
    [`${prefix}ds`]: datasource,
    [`${prefix}q`]: (queries ?? []).map(writeQuery),
    [`${prefix}from`]: from,
    [`${prefix}to`]: to,
    [`${prefix}v`]: view && writeView(view),
  };
}

/** A query with nothing to it but its expression is written as that. No expression of either language is an object of JSON. */
function writeQuery({ expr, instant, range, legendFormat, hide }: ExploreQuery): string {
  const isPlain = instant === undefined && range === undefined && !legendFormat && !hide;
  return isPlain
    ? expr
    : JSON.stringify({ expr, instant, range, legendFormat: legendFormat || undefined, hide });
}

export function readExplore(search: URLSearchParams): ExploreState {
  const split = search.get('split');
  const left = readPane(search, '', PANE_DEFAULTS);
  if (!split) return { ...left, synced: true };
  return { ...left, right: readPane(search, 'r.', left), synced: split !== 'apart' };
}

function readPane(search: URLSearchParams, prefix: string, times: PaneState): PaneState {
  const read = (name: string) => search.get(`${prefix}${name}`) ?? undefined;
  const datasource = read('ds');
  const queries = search.getAll(`${prefix}q`).flatMap(readQuery);
  return {
    ...(datasource ? { datasource } : {}),
    queries: (queries.length ? queries : [{ expr: '' }]).map((query, index) => ({
      ...query,
      refId: refIdAt(index),
    })),
    from: read('from') ?? times.from,
    to: read('to') ?? times.to,
    view: readView(read('v')),
  };
}

type Unnamed = Omit<ExploreQuery, 'refId'>;

/** A query as it is written, or a list of them as older links have it. */
function readQuery(text: string): Unnamed[] {
  const parsed = asJson(text);
  if (parsed === undefined) return [{ expr: text }];
  return [parsed].flat().flatMap((each) => known(each));
}

function asJson(text: string): unknown {
  if (!/^\s*[[{]/.test(text)) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Only what a query may have, whatever a link says. */
function known(value: unknown): Unnamed[] {
  const { expr, instant, range, legendFormat, hide } = (value ?? {}) as Record<string, unknown>;
  if (typeof expr !== 'string') return [];
  return [
    {
      expr,
      ...(typeof instant === 'boolean' ? { instant } : {}),
      ...(typeof range === 'boolean' ? { range } : {}),
      ...(typeof legendFormat === 'string' ? { legendFormat } : {}),
      ...(hide === true ? { hide } : {}),
    },
  ];
}
