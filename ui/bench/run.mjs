// Measures the screens in Chromium with a real server: `npm run bench`. Writes a report to `bench/runs`.
import { writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { openBrowser } from '../e2e/browser.mjs';
import { LoginPage, DashboardsPage } from '../e2e/pages.mjs';
import { firstPassword, folder, startReceiving, startUp, withScreens } from '../e2e/processes.mjs';
import { DASHBOARD, LINES, writeDay, writeLines } from './data.mjs';
import { dashboardPainted, firstLoad, homeInteractive, redraw, scroll } from './measure.mjs';

const RUNS = path.resolve(import.meta.dirname, '../../bench/runs');

/** A data directory with a day in it, as a server leaves one behind. */
async function dayOfData(endMs) {
  const data = folder();
  const server = await startReceiving(data);
  await writeDay(server.url, endMs);
  await server.stop();
  return data;
}

async function prepare(browser, server, own) {
  await writeLines(own, Date.now());
  const context = await browser.newContext({ baseURL: server.url });
  const page = await context.newPage();
  const password = firstPassword(server);
  if (password) await new LoginPage(page).logIn('admin', password);
  await new DashboardsPage(page).importText(DASHBOARD);
  await page.waitForLoadState('networkidle');
  await context.close();
}

const began = new Date();
const data = await dayOfData(began.getTime() - 30_000);
const own = await startUp(data);
const server = await withScreens(own);
const browser = await openBrowser();
const kilobytes = (bytes) => Math.round(bytes / 1000);
const rows = [];
const note = (figure, wanted, measured, isMet) => {
  rows.push({ figure, wanted, measured, isMet });
  console.log(`${isMet ? 'met   ' : 'MISSED'} ${figure}: ${measured} (${wanted})`);
};
try {
  await prepare(browser, server, own.url);
  const home = await homeInteractive(browser, server.url);
  note(
    'home interactive, cold',
    '< 1.5 s',
    `${Math.round(home.ms)} ms, at worst ${Math.round(home.worstMs)} ms`,
    home.ms < 1500,
  );
  const pages = [
    ['home', '/'],
    ['Explore', '/explore'],
    ['dashboard', '/d/bench'],
    ['alerts', '/alerts'],
  ];
  for (const [name, address] of pages) {
    const { bytes, requests } = await firstLoad(browser, server.url, address);
    note(
      `first load of ${name}`,
      '<= 900 kB',
      `${kilobytes(bytes)} kB in ${requests} files`,
      bytes <= 900_000,
    );
  }
  const panels = DASHBOARD.panels.length;
  const painted = await dashboardPainted(browser, server.url, panels);
  note(
    `${panels} panels over 24 h painted, warm server`,
    '< 2 s',
    `${Math.round(painted.ms)} ms, at worst ${Math.round(painted.worstMs)} ms; ${Math.round(painted.coldMs)} ms in an empty browser`,
    painted.ms < 2000,
  );
  const drawn = await redraw(browser, server.url);
  note(
    '50 series x 1500 points drawn anew',
    '< 50 ms',
    `${drawn.ms.toFixed(0)} ms, at worst ${drawn.worstMs.toFixed(0)} ms; ${drawn.hideMs.toFixed(0)} ms to hide a series`,
    drawn.ms < 50,
  );
  for (const wrap of [true, false]) {
    const { fps, p95Ms, worstMs, drawn: count } = await scroll(browser, server.url, LINES, wrap);
    note(
      `${LINES} lines scrolled, ${wrap ? 'wrapped' : 'unwrapped'}`,
      '>= 50 fps',
      `${fps.toFixed(1)} fps, frame p95 ${p95Ms.toFixed(1)} ms, at worst ${worstMs.toFixed(1)} ms, ${count} in the document`,
      fps >= 50,
    );
  }
} finally {
  await browser.close();
  await server.stop();
}

const stamp = began.toISOString().slice(0, 16).replace('T', '-').replace(':', '');
const report = `# screens

The screens in Chromium, each time in an empty browser, with a server on the same machine: a day of 320 series, ${LINES} lines. Medians of five;
software draws, without a graphics card.

* command: \`npm run bench\` in \`ui\`
* machine: ${os.cpus().length} cores, ${os.cpus()[0]?.model ?? ''}, load average ${os
  .loadavg()
  .map((each) => each.toFixed(2))
  .join(' ')}
* date: ${began.toISOString().slice(0, 19)}Z

| figure | wanted | measured | |
|---|---:|---:|---|
${rows.map(({ figure, wanted, measured, isMet }) => `| ${figure} | ${wanted} | ${measured} | ${isMet ? 'met' : '**missed**'} |`).join('\n')}
`;
const file = path.join(process.env.BENCH_OUT ?? RUNS, `${stamp}-screens.md`);
writeFileSync(file, report);
console.log(file);
process.exit(rows.every(({ isMet }) => isMet) ? 0 : 1);
