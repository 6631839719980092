/** Which address shows which page. The server knows the first part of each: `crates/api/src/ui.rs`. */
import { lazy as lazyComponent, type ComponentType } from 'react';
import { matchPath } from 'react-router-dom';

type Load = () => Promise<{ default: ComponentType }>;

interface PageRoute {
  path: string;
  Page: ComponentType & { load: Load };
}

const lazy = (load: Load) => Object.assign(lazyComponent(load), { load });

export const PAGES: PageRoute[] = [
  { path: '/', Page: lazy(() => import('~/pages/home')) },
  { path: '/dashboards', Page: lazy(() => import('~/pages/dashboards')) },
  { path: '/dashboards/import', Page: lazy(() => import('~/pages/dashboards/import')) },
  { path: '/dashboards/new', Page: lazy(() => import('~/pages/dashboard/new')) },
  { path: '/d/:uid/:slug?', Page: lazy(() => import('~/pages/dashboard')) },
  { path: '/explore', Page: lazy(() => import('~/pages/explore')) },
  { path: '/explore/logs', Page: lazy(() => import('~/pages/explore/logs')) },
  { path: '/graph', Page: lazy(() => import('~/pages/explore/graph')) },
  { path: '/alerts', Page: lazy(() => import('~/pages/alerts')) },
  { path: '/silences', Page: lazy(() => import('~/pages/silences')) },
  { path: '/silences/new', Page: lazy(() => import('~/pages/silences/new')) },
  { path: '/rules', Page: lazy(() => import('~/pages/rules')) },
  { path: '/targets', Page: lazy(() => import('~/pages/targets')) },
  { path: '/targets/relabel', Page: lazy(() => import('~/pages/targets/relabel')) },
  { path: '/routing', Page: lazy(() => import('~/pages/routing')) },
  { path: '/admin', Page: lazy(() => import('~/pages/admin')) },
  { path: '/profile', Page: lazy(() => import('~/pages/profile')) },
  { path: '/status', Page: lazy(() => import('~/pages/status')) },
  { path: '/login', Page: lazy(() => import('~/pages/login')) },
  { path: '*', Page: lazy(() => import('~/pages/notFound')) },
];

/** Begins to load the page of an address, before there is anything to show it in. */
export function preloadPage(pathname: string): void {
  const page = PAGES.find(({ path }) => matchPath(path, pathname));
  // What cannot be loaded is told about when it is shown.
  page?.Page.load().catch(() => undefined);
}
