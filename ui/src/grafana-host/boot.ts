/**
 * What the Grafana packages read from `window` while they are being imported. Nothing else may be
 * imported before this module has run, which is why `main.ts` loads the program by a dynamic import.
 */
import { loadPreferences } from '../app/preferences';
import { GRAFANA_VERSION } from './version';

declare global {
  interface Window {
    __grafana_public_path__?: string;
    grafanaBootData?: unknown;
  }
}

const preferences = loadPreferences();

/** The path the program is served below, with a slash at its end. */
const base = new URL(document.baseURI).pathname.replace(/[^/]*$/, '');

window.__grafana_public_path__ = `${base}public/`;
window.grafanaBootData = {
  assets: { dark: '', light: '' },
  settings: {
    appSubUrl: base.replace(/\/$/, ''),
    appUrl: `${window.location.origin}/`,
    buildInfo: { version: GRAFANA_VERSION, commit: '', env: 'production' },
    datasources: {},
    featureToggles: {},
    minRefreshInterval: '1s',
  },
  user: {
    theme: preferences.theme,
    lightTheme: preferences.theme === 'light',
    timezone: preferences.timeZone,
    weekStart: preferences.weekStart,
    locale: navigator.language || 'en-US',
    language: 'en-US',
    orgId: 1,
    permissions: {},
  },
  navTree: [],
};
