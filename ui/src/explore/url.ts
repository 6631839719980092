/** What Explore shows, as its address says it, so that a link restores everything. */
import { encodeParameters } from '~/api/http';

export interface ExploreQuery {
  refId: string;
  expr: string;
  instant?: boolean;
  range?: boolean;
  legendFormat?: string;
}

export interface ExploreState {
  datasource?: string;
  queries: ExploreQuery[];
  from: string;
  to: string;
}

export const EXPLORE_DEFAULTS: ExploreState = {
  queries: [{ refId: 'A', expr: '' }],
  from: 'now-1h',
  to: 'now',
};

export function exploreHref({ datasource, queries, from, to }: ExploreState): string {
  const kept = queries.map(({ refId, expr, instant, range, legendFormat }) => ({
    refId,
    expr,
    instant,
    range,
    legendFormat,
  }));
  return `/explore?${encodeParameters({ ds: datasource, q: JSON.stringify(kept), from, to })}`;
}

export function readExplore(search: URLSearchParams): ExploreState {
  const { queries, from, to } = EXPLORE_DEFAULTS;
  const datasource = search.get('ds') ?? undefined;
  return {
    ...(datasource ? { datasource } : {}),
    queries: readQueries(search.get('q')) ?? queries,
    from: search.get('from') ?? from,
    to: search.get('to') ?? to,
  };
}

function readQueries(text: string | null): ExploreQuery[] | undefined {
  if (!text) return undefined;
  try {
    const parsed: unknown = JSON.parse(text);
    if (!Array.isArray(parsed)) return undefined;
    const valid = parsed.filter(
      (query): query is ExploreQuery => typeof (query as ExploreQuery | null)?.expr === 'string',
    );
    return valid.length
      ? valid.map((query, index) => ({ ...query, refId: query.refId ?? String.fromCharCode(65 + index) }))
      : undefined;
  } catch {
    return undefined;
  }
}
