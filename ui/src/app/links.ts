import { locationService } from '@grafana/runtime';
import { PREFIX } from '~/api/http';

/** Links within the program change its page without loading it anew, wherever they are written: in tables, too. */
export function interceptLinks(): void {
  document.addEventListener('click', (event) => {
    if (
      event.defaultPrevented ||
      event.button !== 0 ||
      event.metaKey ||
      event.ctrlKey ||
      event.shiftKey ||
      event.altKey
    )
      return;
    const anchor = (event.target as Element | null)?.closest?.('a[href]');
    if (!(anchor instanceof HTMLAnchorElement)) return;
    if (anchor.target === '_blank' || anchor.hasAttribute('download')) return;
    const url = new URL(anchor.href, window.location.href);
    const path = withoutPrefix(url.pathname);
    if (url.origin !== window.location.origin || isServed(path)) return;
    event.preventDefault();
    locationService.push(`${path}${url.search}${url.hash}`);
  });
}

/** Dashboards write links as if the program lay at the root of its server; those of components know where it lies. */
const withoutPrefix = (path: string) =>
  PREFIX && path.startsWith(`${PREFIX}/`) ? path.slice(PREFIX.length) : path;

/** What the server answers itself, and the program has no page for. */
const isServed = (path: string) =>
  /^\/(api|loki|prometheus|metrics|federate|version|-|user)(\/|$)/.test(path);
