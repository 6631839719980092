// A receiver of notifications that says no to the first, as real ones do at times.
import { createServer } from 'node:http';
import { freePort } from './processes.mjs';

export async function startSink(refusals) {
  const port = await freePort();
  const taken = [];
  let left = refusals;
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += chunk));
    request.on('end', () => {
      const isRefused = left > 0;
      if (isRefused) left -= 1;
      else taken.push(JSON.parse(body));
      response.writeHead(isRefused ? 503 : 200).end(isRefused ? 'not <now>' : '');
    });
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${port}/`,
    taken,
    stop: () => new Promise((resolve) => server.close(resolve)),
  };
}
