// The screens of `dist` before a server that was built without them: sent as the server sends its own, and everything else passed on.
import { existsSync, readFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const TYPES = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
  '.html': 'text/html; charset=utf-8',
};
const PASSED_ON = /^\/(api|loki|prometheus|-|metrics|federate|version|user)(\/|$)/;

/** The policy of the server, read from where it is written: pages must be tried under the same. */
function policy() {
  const source = readFileSync(fileURLToPath(new URL('../../crates/api/src/ui.rs', import.meta.url)), 'utf8');
  const [, written = ''] = /CONTENT_SECURITY_POLICY: &str = "((?:[^"\\]|\\[^])*)"/.exec(source) ?? [];
  return written.replace(/\\\n\s*/g, '');
}

export async function front(url, port, dist) {
  const target = new URL(url);
  const security = policy();
  const to = (request) => ({
    host: target.hostname,
    port: target.port,
    method: request.method,
    path: request.url,
    headers: request.headers,
  });
  const server = http.createServer((request, response) => {
    const [name] = request.url.split('?');
    if (PASSED_ON.test(name)) {
      const passed = http.request(to(request), (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      });
      passed.on('error', () => response.destroy());
      response.on('close', () => passed.destroy());
      request.pipe(passed);
      return;
    }
    send(dist, name, response, security);
  });
  server.on('upgrade', (request, socket, head) => {
    const passed = http.request(to(request));
    passed.on('upgrade', (answer, other, rest) => {
      const headers = Object.entries(answer.headers).map(([header, value]) => `${header}: ${value}\r\n`);
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${headers.join('')}\r\n`);
      socket.write(rest);
      other.write(head);
      other.pipe(socket).pipe(other);
      for (const each of [socket, other]) each.on('error', () => each.destroy());
    });
    passed.on('error', () => socket.destroy());
    passed.end();
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  const stop = () =>
    new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${port}`, stop };
}

function send(dist, name, response, security) {
  const isFile = /^\/(assets|public)\/|^\/favicon/.test(name);
  const file = path.join(dist, isFile ? path.normalize(name) : 'index.html');
  const compressed = existsSync(`${file}.br`) ? `${file}.br` : undefined;
  if (!file.startsWith(dist) || !existsSync(file)) {
    response.writeHead(404).end();
    return;
  }
  const headers = { 'Content-Type': TYPES[path.extname(file)] ?? 'application/octet-stream' };
  if (compressed) headers['Content-Encoding'] = 'br';
  if (isFile) headers['Cache-Control'] = 'public, max-age=31536000, immutable';
  else Object.assign(headers, { 'Content-Security-Policy': security, 'Cache-Control': 'no-cache' });
  response.writeHead(200, headers).end(readFileSync(compressed ?? file));
}
