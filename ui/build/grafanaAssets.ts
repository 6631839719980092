import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { Plugin } from 'vite';

/** Icons that components ask for and the package does not carry; drawn here. */
const SPINNER =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path fill="none" stroke="currentColor" ' +
  'stroke-width="2" stroke-linecap="round" d="M12 3a9 9 0 1 1-9 9"/></svg>';
const ANGLE_DOUBLE_LEFT =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path fill="none" stroke="currentColor" ' +
  'stroke-width="2" stroke-linecap="round" stroke-linejoin="round" d="m11 7-5 5 5 5m7-10-5 5 5 5"/></svg>';

const SYNC_SLASH =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path fill="none" stroke="currentColor" ' +
  'stroke-width="2" stroke-linecap="round" stroke-linejoin="round" d="M20 5v5h-5M4 19v-5h5M5.5 9a7 7 0 0 1 11-2.5L20 10M18.5 15a7 7 0 0 1-11 2.5L4 14M3 3l18 18"/></svg>';

const ROBOTO_MONO = 'L0xTDF4xlVMF-BfR8bXMIhJHg45mwgGEFl0_3vrtSM1J-gEPT5Ese6hmHSh0mQ.woff2';

/** Fonts under the names that the global styles of @grafana/ui ask for. */
const FONTS: Record<string, string> = {
  'inter/Inter-Regular.woff2': 'inter/files/inter-latin-400-normal.woff2',
  'inter/Inter-Medium.woff2': 'inter/files/inter-latin-500-normal.woff2',
  'inter/Inter-Italic.woff2': 'inter/files/inter-latin-400-italic.woff2',
  'inter/Inter-MediumItalic.woff2': 'inter/files/inter-latin-500-italic.woff2',
  [`roboto/${ROBOTO_MONO}`]: 'roboto-mono/files/roboto-mono-latin-400-normal.woff2',
};

/**
 * Serves icons and fonts below `/public`, where the Grafana packages fetch them: while developing from
 * `node_modules`, and as files of the build.
 */
export function grafanaAssets(root: string): Plugin {
  const files = collect(root);
  return {
    name: 'grafana-assets',
    configureServer(server) {
      server.middlewares.use((request, response, next) => {
        const name = (request.url ?? '').split('?')[0]?.replace(/^\//, '') ?? '';
        if (!name.startsWith('public/')) {
          next();
          return;
        }
        const content = files.get(name);
        if (!content) {
          response.statusCode = 404;
          response.end();
          return;
        }
        response.setHeader('Content-Type', name.endsWith('.svg') ? 'image/svg+xml' : 'font/woff2');
        response.end(content());
      });
    },
    generateBundle() {
      for (const [fileName, content] of files) {
        this.emitFile({ type: 'asset', fileName, source: content() });
      }
    },
  };
}

function collect(root: string): Map<string, () => Uint8Array | string> {
  const files = new Map<string, () => Uint8Array | string>();
  const icons = path.join(root, 'node_modules/@grafana/ui/dist/public/img/icons');
  for (const folder of readdirSync(icons)) {
    for (const icon of readdirSync(path.join(icons, folder))) {
      const file = path.join(icons, folder, icon);
      files.set(`public/build/img/icons/${folder}/${icon}`, () => readFileSync(file));
    }
  }
  files.set('public/build/img/icons/unicons/angle-double-left.svg', () => ANGLE_DOUBLE_LEFT);
  files.set('public/build/img/icons/unicons/spinner.svg', () => SPINNER);
  files.set('public/build/img/icons/unicons/sync-slash.svg', () => SYNC_SLASH);
  for (const [name, source] of Object.entries(FONTS)) {
    files.set(`public/fonts/${name}`, () =>
      readFileSync(path.join(root, 'node_modules/@fontsource', source)),
    );
  }
  return files;
}
