// A browser that notes what no page may do: fail on its console, be refused, or ask another host.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright-core';

const SHOTS = path.resolve(import.meta.dirname, 'screenshots');

export async function openBrowser() {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
}

/** The server is asked what it makes of queries that are half written, and refuses them. */
const REFUSED = /\/(parse_query|format_query)\?/;

/** A page and the list of what went wrong on it. */
export async function openPage(browser, base, viewport = { width: 1440, height: 900 }) {
  const context = await browser.newContext({ baseURL: base, viewport });
  const page = await context.newPage();
  const problems = [];
  page.on('console', (message) => {
    if (message.type() === 'error' && !REFUSED.test(message.location().url))
      problems.push(`console: ${message.text().slice(0, 300)}`);
  });
  page.on('pageerror', (error) => problems.push(`error: ${String(error.stack ?? error).slice(0, 500)}`));
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(base) && !url.startsWith('data:') && !url.startsWith('blob:'))
      problems.push(`asked another host: ${url.slice(0, 200)}`);
  });
  page.on('response', (response) => {
    if (response.status() >= 400 && !REFUSED.test(response.url()))
      problems.push(`${response.status()} ${response.url()}`);
  });
  return { page, problems };
}

/** Keeps a picture to be looked at. */
export async function shoot(page, name) {
  mkdirSync(SHOTS, { recursive: true });
  const { width, height } = page.viewportSize();
  // Of a window made high to have everything in sight only what is there is kept.
  const bottoms = page
    .locator('[data-viz-panel-key]')
    .evaluateAll((panels) => panels.map((panel) => panel.getBoundingClientRect().bottom));
  const content = Math.min(height, Math.max(height > 2000 ? 900 : height, ...(await bottoms)) + 16);
  await page.screenshot({
    path: path.join(SHOTS, `${name}.png`),
    clip: { x: 0, y: 0, width, height: Math.min(height, content) },
  });
}
