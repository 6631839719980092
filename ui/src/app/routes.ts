/** Which address shows which page. The server knows the first part of each: `crates/api/src/ui.rs`. */
import { lazy, type ComponentType } from 'react';

interface PageRoute {
  path: string;
  Page: ComponentType;
}

export const PAGES: PageRoute[] = [
  { path: '/', Page: lazy(() => import('~/pages/home')) },
  { path: '/dashboards', Page: lazy(() => import('~/pages/dashboards')) },
  { path: '/dashboards/import', Page: lazy(() => import('~/pages/dashboards/import')) },
  { path: '/d/:uid/:slug?', Page: lazy(() => import('~/pages/dashboard')) },
  { path: '*', Page: lazy(() => import('~/pages/notFound')) },
];
