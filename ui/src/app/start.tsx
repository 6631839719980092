import 'uplot/dist/uPlot.min.css';
import 'react-grid-layout/css/styles.css';
import { initPluginTranslations } from '@grafana/i18n';
import { locationService } from '@grafana/runtime';
import { createRoot } from 'react-dom/client';
import { PREFIX, encodeParameters } from '~/api/http';
import { loadSession, session } from '~/api/session';
import { listSources } from '~/api/sources';
import { takeSources } from '~/datasources/catalog';
import { initRegistries } from '~/grafana-host/registries';
import { initServices } from '~/grafana-host/services';
import { interceptLinks } from './links';
import { adoptPreferences } from './preferences';
import { App } from './App';
import { preloadPage } from './routes';
import './global.css';

/** Sets up what the Grafana packages need, and shows the program. */
export async function start(): Promise<void> {
  const asked = loadSession();
  await initPluginTranslations('grafana-scenes');
  preloadPage(window.location.pathname.slice(PREFIX.length) || '/');
  initRegistries();
  initServices();
  interceptLinks();
  // A server that cannot be reached is told about by the pages, as they ask it.
  const { isKept, role, user, preferences = {} } = await asked.catch(session);
  // What was imported has read the old ones.
  if (adoptPreferences(preferences, Boolean(user))) return window.location.reload();
  if (!role && window.location.pathname !== `${PREFIX}/login`) {
    const here = window.location.pathname.slice(PREFIX.length) + window.location.search;
    locationService.replace(`/login?${encodeParameters({ to: here })}`);
  }
  if (isKept && role) takeSources(await listSources().catch(() => []));
  const root = document.getElementById('root');
  if (!root) throw new Error('index.html has no root to draw in');
  createRoot(root).render(<App />);
}
