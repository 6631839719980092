import { Navigate, useLocation } from 'react-router-dom';
import { exploreHref } from '~/explore/url';

/** Links of alerts and of Prometheus's own pages lead to `/graph?g0.expr=...`. */
export default function GraphLink() {
  const search = new URLSearchParams(useLocation().search);
  const queries = [];
  for (let panel = 0; search.has(`g${panel}.expr`); panel++) {
    queries.push({ refId: String.fromCharCode(65 + panel), expr: search.get(`g${panel}.expr`) ?? '' });
  }
  const range = search.get('g0.range_input') ?? '1h';
  return (
    <Navigate
      replace
      to={exploreHref({
        queries: queries.length ? queries : [{ refId: 'A', expr: '' }],
        from: `now-${range}`,
        to: 'now',
      })}
    />
  );
}
