// Every dashboard of the conformance data opens on series that were made for it, and no panel fails.
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { openPage, shoot } from '../browser.mjs';
import { seriesFor, serve } from '../generate.mjs';
import { DashboardPage, DashboardsPage } from '../pages.mjs';
import { binary, folder, freePort, start, withScreens } from '../processes.mjs';

const FOLDER =
  process.env.BARTIZAN_CONFORMANCE ?? path.resolve(import.meta.dirname, '../../../../shared/conformance');
/** Rates need two scrapes, and panels with a step of a minute a whole one. */
const HISTORY_MS = 65_000;
/** High enough for every panel to be in sight, as those out of sight ask nothing. */
const TALL = { width: 1600, height: 6000 };

function* allPanels(list = []) {
  for (const panel of list) {
    yield panel;
    yield* allPanels(panel.panels);
  }
}

export async function dashboards(browser) {
  const source = path.join(FOLDER, 'dashboards/kube-prometheus');
  if (!existsSync(source)) {
    if (process.env.CI === 'true') throw new Error(`there are no conformance dashboards in ${source}`);
    console.log(`skipped: conformance dashboards (there is no ${source})`);
    return [];
  }
  const files = readdirSync(source)
    .filter((name) => name.endsWith('.json'))
    .map((name) => path.join(source, name));
  const all = files.map((file) => ({ file, json: JSON.parse(readFileSync(file, 'utf8')) }));
  const { server, stop } = await startOn(seriesFor(all.map(({ json }) => json)));
  const problems = [];
  const table = new Map();
  try {
    const { page, problems: found } = await openPage(browser, server.url, TALL);
    await new DashboardsPage(page).importFiles(files);
    await page.waitForTimeout(HISTORY_MS);
    for (const { file, json } of all) {
      const name = path.basename(file, '.json');
      const dashboard = new DashboardPage(page);
      await dashboard.open(json.uid, '?from=now-2m&to=now&refresh=');
      await openRows(page, dashboard);
      const types = new Map([...allPanels(json.panels)].map(({ id, type }) => [`panel-${id}`, type]));
      for (const { key, status, text } of await dashboard.panels()) {
        const type = types.get(key) ?? types.get(key.replace(/-\d+$/, '')) ?? 'copied';
        const counts = table.get(type) ?? { data: 0, empty: 0, error: 0, unknown: 0 };
        counts[status] += 1;
        table.set(type, counts);
        if (status === 'error' || status === 'unknown') problems.push(`${name} ${key}: ${status}: ${text}`);
      }
      await shoot(page, `dashboard-${name}`);
      problems.push(...found.splice(0).map((problem) => `${name}: ${problem}`));
    }
  } finally {
    await stop();
  }
  console.table(Object.fromEntries(table));
  return problems;
}

async function openRows(page, dashboard) {
  const closed = page.locator('[aria-label^="Expand row"]');
  for (let count = await closed.count(); count > 0; count--) await closed.first().click();
  await dashboard.settled();
}

async function startOn(series) {
  const data = folder();
  const [targetPort, port] = [await freePort(), await freePort()];
  const target = await serve(series, targetPort);
  const config = path.join(data, 'prometheus.yml');
  writeFileSync(
    config,
    `scrape_configs:\n- job_name: generated\n  honor_labels: true\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  static_configs: [{targets: ['127.0.0.1:${targetPort}']}]\n`,
  );
  const args = [
    'prometheus',
    `--config.file=${config}`,
    `--storage.tsdb.path=${data}/tsdb`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];
  const server = await withScreens(
    await start(binary(), args, `http://127.0.0.1:${port}/-/ready`, { cwd: data }),
  );
  const stop = async () => {
    await server.stop();
    await target.stop();
    rmSync(data, { recursive: true, force: true });
  };
  return { server, stop };
}
