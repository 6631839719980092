// Programs the journeys need: they listen on loopback, keep their data in a folder of their own, and are ended by their id.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { front } from './front.mjs';

const ROOT = path.resolve(import.meta.dirname, '../..');
const READY_WITHIN_MS = 30_000;

export function binary() {
  const candidates = [process.env.BARTIZAN_BIN, 'target/release/bartizan', 'target/debug/bartizan'];
  const found = candidates
    .filter(Boolean)
    .map((name) => path.resolve(ROOT, name))
    .find((name) => existsSync(name));
  if (!found) throw new Error('there is no bartizan to start: build one, or name it in BARTIZAN_BIN');
  return found;
}

export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

export function folder() {
  return mkdtempSync(path.join(tmpdir(), 'bartizan-ui-'));
}

/** Starts a program and waits until `url` answers. */
export async function start(command, args, url, options = {}) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  let output = '';
  const keep = (chunk) => (output = (output + chunk).slice(-20_000));
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const until = Date.now() + READY_WITHIN_MS;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${command} ended with ${child.exitCode}:\n${output}`);
    const answers = await fetch(url).then(
      (response) => response.ok,
      () => false,
    );
    if (answers) break;
    if (Date.now() > until) {
      child.kill();
      throw new Error(`${url} does not answer:\n${output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {
    url: new URL(url).origin,
    output: () => output,
    stop: () =>
      new Promise((resolve) => {
        child.once('exit', resolve);
        child.kill();
      }),
  };
}

/** `bartizan up` with nothing in it, or with what is in a data directory already. */
export async function startUp(data = folder(), more = []) {
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const args = ['up', '--data-dir', data, '--listen-address', address, '--scrape-interval-s', '1'];
  const server = await start(binary(), [...args, ...more], `http://${address}/-/ready`, { cwd: data });
  return {
    ...server,
    data,
    stop: () => server.stop().then(() => rmSync(data, { recursive: true, force: true })),
  };
}

/** The password of the first administrator, which a server says once; none where it keeps no users. */
export function firstPassword(server) {
  return /password=(?:"([^"]+)"|(\S+))/.exec(server.output())?.slice(1).find(Boolean);
}

/** The screens before a server: its own, or those of `dist` where it was built without any or others are to be tried. */
export async function withScreens(server) {
  const page = await (await fetch(`${server.url}/`)).text();
  const named = process.env.BARTIZAN_UI_DIST;
  if (page.includes('<div id="root">') && !named) return server;
  const screens = await front(server.url, await freePort(), path.resolve(ROOT, named ?? 'ui/dist'));
  return { ...server, url: screens.url, stop: () => Promise.all([screens.stop(), server.stop()]) };
}

/** A server in Prometheus's seat that scrapes nothing and takes what is pushed, with further flags. */
export async function startReceiving(data, ...flags) {
  const port = await freePort();
  const config = path.join(data, 'prometheus.yml');
  writeFileSync(config, 'scrape_configs: []\n');
  const args = [
    'prometheus',
    `--config.file=${config}`,
    `--storage.tsdb.path=${data}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--web.enable-remote-write-receiver',
    ...flags,
  ];
  return start(binary(), args, `http://127.0.0.1:${port}/-/ready`, { cwd: data });
}
