import path from 'node:path';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';
import { compressed } from './build/compressed.ts';
import { grafanaAssets } from './build/grafanaAssets.ts';
import { mended } from './build/mended.ts';

const root = import.meta.dirname;
const monaco = path.join(root, 'build/noMonaco.js');

// Where `npm run dev` and `npm run preview` find a running server.
const server = process.env.BARTIZAN_URL ?? 'http://127.0.0.1:9090';
// The server compares where a page says it comes from with the name it is asked by, which must stay as it is.
const target = { target: server, changeOrigin: false, ws: true };
const proxy = Object.fromEntries(
  ['/api', '/loki', '/prometheus', '/-', '/metrics', '/federate', '/version'].map((prefix) => [
    `^${prefix}/?`,
    target,
  ]),
);

export default defineConfig({
  // Relative to the page's <base>, which the server fills in.
  base: './',
  plugins: [react(), mended(), grafanaAssets(root), compressed()],
  resolve: {
    alias: [
      { find: /^~\//, replacement: `${path.join(root, 'src')}/` },
      // The editors here are CodeMirror; Monaco would double the size of the program.
      { find: /^monaco-editor.*/, replacement: monaco },
      { find: /^@monaco-editor\/react$/, replacement: monaco },
      { find: /^react-dom\/server$/, replacement: path.join(root, 'build/plainMarkup.js') },
      // Time zones as they were before there were computers are nothing to look back at.
      {
        find: /^moment-timezone$/,
        replacement: path.join(
          root,
          'node_modules/moment-timezone/builds/moment-timezone-with-data-1970-2030.js',
        ),
      },
    ],
    dedupe: [
      'react',
      'react-dom',
      '@codemirror/state',
      '@codemirror/view',
      '@codemirror/language',
      '@lezer/common',
    ],
  },
  server: { proxy },
  preview: { proxy },
  build: {
    // As the server's build finds it.
    outDir: process.env.BARTIZAN_UI_DIST ?? 'dist',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 4096,
    reportCompressedSize: false,
  },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.{ts,tsx}'],
    setupFiles: ['src/grafana-host/boot.ts'],
    server: { deps: { inline: [/@grafana\//, 'react-use', 'monaco-editor'] } },
  },
});
