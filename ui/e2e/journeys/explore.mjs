// Explore is used as at three in the morning: from a metric to its logs, from a line to what is around it.
import assert from 'node:assert/strict';
import { request } from 'playwright-core';
import { accessibilityProblems } from '../accessibility.mjs';
import { openPage, shoot } from '../browser.mjs';
import { ExplorePage, LoginPage, LogsPart, SourcesPage } from '../pages.mjs';
import { firstPassword, startUp, withScreens } from '../processes.mjs';

const HOSTILE = '<img src=x onerror="window.hostile=1">';
const PHONE = { width: 390, height: 844 };
const logsOf = (query) => `/explore?${new URLSearchParams({ ds: 'bartizan-logs', q: query })}`;

export async function explore(browser) {
  const own = await startUp();
  const elsewhere = await startUp();
  const server = await withScreens(own);
  try {
    const { page, problems } = await openPage(browser, server.url);
    const program = await request.newContext();
    const push = (streams) => send(program, own.url, streams);
    await push([stream('shop', lines(400)), stream('hostile', [HOSTILE, `level=error ${HOSTILE}`])]);
    await metrics(page, problems);
    await jump(page);
    await details(page);
    await tabs(page, problems);
    await live(page, push);
    await history(page);
    await harmless(page);
    await narrow(browser, server.url, problems);
    await liveElsewhere(page, firstPassword(own), elsewhere.url, (streams) =>
      send(program, elsewhere.url, streams),
    );
    await program.dispose();
    await page.context().close();
    return problems;
  } finally {
    await Promise.all([elsewhere.stop(), server.stop()]);
  }
}

const lines = (count) =>
  Array.from({ length: count }, (_, number) =>
    JSON.stringify({
      level: number % 9 ? 'info' : 'error',
      msg: `order ${number} done`,
      took_ms: number % 50,
    }),
  );

/** Labels are those that this server's own series have as well. */
const stream = (service, texts) => ({
  stream: { service_name: service, job: 'bartizan', note: HOSTILE },
  values: texts.map((text, number) => [
    `${Date.now() - 60_000 + number}${String(number).padStart(6, '0')}`,
    text,
  ]),
});

async function send(program, url, streams) {
  const answer = await program.post(`${url}/loki/api/v1/push`, { data: { streams } });
  assert.ok(answer.ok(), `logs are taken: ${answer.status()}`);
}

async function metrics(page, problems) {
  const exploring = new ExplorePage(page);
  await exploring.open();
  await exploring.run('sum by (job) (up)');
  await page.getByRole('table', { name: 'Values at the end of the time' }).getByText('bartizan').waitFor();
  await page
    .getByLabel('What it cost')
    .getByText(/samples read/)
    .waitFor();
  await page.getByRole('button', { name: 'Explain' }).first().click();
  const plan = page.getByRole('region', { name: 'Parts of the query' });
  await plan.getByText('sum by (job)').waitFor();
  // The selector is counted by itself: this server, and this host.
  await plan.getByRole('row', { name: /up reads 2 / }).waitFor();
  assert.match(page.url(), /v=explain/, 'the address says what is shown');
  await shoot(page, 'explore-explain');
  problems.push(...(await accessibilityProblems(page)).map((problem) => `explain: ${problem}`));

  await exploring.open();
  await exploring.type('sum(rate(up[5m]');
  await page.keyboard.press('Delete');
  await page.locator('.cm-lintRange-error').waitFor();

  await exploring.open();
  await page.getByRole('button', { name: 'Metrics browser' }).click();
  await page.getByLabel('Find in Metrics').fill('scrape_samples_sc');
  await page.getByRole('list', { name: 'Metrics' }).getByRole('button').first().click();
  await page.getByRole('list', { name: 'Labels' }).getByRole('button', { name: 'job', exact: true }).click();
  await page
    .getByRole('list', { name: 'job', exact: true })
    .getByRole('button', { name: /^node 1/ })
    .click();
  await shoot(page, 'explore-browser');
  problems.push(...(await accessibilityProblems(page)).map((problem) => `browser: ${problem}`));
  await page.getByRole('button', { name: 'Use query' }).click();
  await page.waitForURL(/q=scrape_samples_scraped/);
  assert.equal(new URL(page.url()).searchParams.get('q'), 'scrape_samples_scraped{job="node"}');
}

async function jump(page) {
  await page.goto('/explore?q=up');
  const row = page.getByRole('row', { name: /bartizan/ }).last();
  await row.getByRole('link', { name: 'Logs' }).click();
  const right = page.getByRole('region', { name: 'Right half' });
  await right.getByRole('listitem').first().waitFor();
  const { searchParams } = new URL(page.url());
  assert.equal(searchParams.get('r.q'), '{job="bartizan"}', 'the logs with the labels both have');
  assert.equal(searchParams.get('q'), 'up', 'the metric stays where it was');
  await shoot(page, 'explore-split');
  // Both show the same time.
  await right.getByTestId('data-testid TimePicker Open Button').click();
  await page.getByText('Last 15 minutes', { exact: true }).click();
  await page
    .getByRole('region', { name: 'Left half' })
    .getByTestId('data-testid TimePicker Open Button')
    .getByText('Last 15 minutes')
    .waitFor();
  assert.equal(new URL(page.url()).searchParams.get('from'), 'now-15m');
  await page.reload();
  await page.getByRole('region', { name: 'Right half' }).getByRole('listitem').first().waitFor();
}

async function details(page) {
  const logs = new LogsPart(page);
  await page.goto(logsOf('{service_name="shop"} | json'));
  await logs.open(1);
  await page.getByRole('button', { name: 'Only lines with level=error' }).or(
    page.getByRole('button', { name: 'Only lines with level=info' }),
  ).first().click(); // prettier-ignore
  await page.waitForURL(/level%3D%22(error|info)/);
  await logs.open(1);
  await page.getByRole('button', { name: 'Show took_ms with each line' }).click();
  await page.waitForURL(/v=col%3Atook_ms/);
  await page.goto(logsOf('{service_name="shop"} |= "order 200 done"'));
  await page.locator('mark').getByText('order 200 done').waitFor();
  await logs.open(1);
  await page.getByRole('button', { name: 'Show context' }).click();
  const around = page.getByRole('region', { name: 'Lines around' });
  await around.getByText('order 199 done').waitFor();
  await around.getByText('order 201 done').waitFor();
  await page.getByRole('button', { name: /30 before, load more/ }).click();
  await page.getByRole('button', { name: /90 before, load more/ }).waitFor();
  await shoot(page, 'explore-context');
  await page.keyboard.press('Escape');
}

async function tabs(page, problems) {
  await page.goto(logsOf('{service_name="shop"}'));
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page
      .getByRole('button', { name: 'Download lines' })
      .click()
      .then(() => page.getByRole('menuitem', { name: 'JSON' }).click()),
  ]);
  assert.match(download.suggestedFilename(), /\.json$/);
  await page.getByRole('button', { name: 'Fields' }).click();
  await page
    .getByRole('row', { name: /took_ms/ })
    .getByRole('button', { name: 'Values' })
    .click();
  await page.getByRole('button', { name: 'Only lines with took_ms=7', exact: true }).click();
  await page.waitForURL(/json\+%7C\+took_ms%3D%227%22/);
  await page.goto(logsOf('{service_name="shop"}'));
  await page.getByRole('button', { name: 'Patterns' }).click();
  const pattern = page.getByRole('row', { name: /order <_> done/ }).first();
  await pattern.waitFor();
  await shoot(page, 'explore-patterns');
  problems.push(...(await accessibilityProblems(page)).map((problem) => `patterns: ${problem}`));
  await pattern.getByRole('button', { name: 'Exclude' }).click();
  await page.waitForURL(/%21%3E/);
}

async function live(page, push) {
  await page.goto(logsOf('{service_name="shop"}'));
  await page.getByRole('button', { name: 'Live', exact: true }).click();
  await page.getByRole('status').getByText('Live').waitFor();
  await push([{ ...stream('shop', []), values: [[`${Date.now()}000000`, 'said while it was followed']] }]);
  await page.getByRole('region', { name: 'Live lines' }).getByText('said while it was followed').waitFor();
  await page.getByRole('button', { name: 'Pause' }).click();
  await push([{ ...stream('shop', []), values: [[`${Date.now()}000001`, 'said while it was paused']] }]);
  await page.getByRole('button', { name: 'Resume, 1 new' }).waitFor();
  assert.equal(await page.getByText('said while it was paused').count(), 0);
  await page.getByRole('button', { name: 'Resume, 1 new' }).click();
  await page.getByText('said while it was paused').waitFor();
  await shoot(page, 'explore-live');
  await page.getByRole('button', { name: 'Clear' }).click();
  await page.getByText('0 lines').waitFor();
  await page.getByRole('button', { name: 'Stop' }).click();
}

/** Lines of another server are followed through this one. */
async function liveElsewhere(page, password, url, push) {
  if (password) await new LoginPage(page).logIn('admin', password);
  const uid = await new SourcesPage(page).create('Logs elsewhere', url, 'Loki');
  const line = (text) => ({ ...stream('shop', []), values: [[`${Date.now()}000000`, text]] });
  await push([line('said before')]);
  await page.goto(`/explore?${new URLSearchParams({ ds: uid, q: '{service_name="shop"}' })}`);
  await page.getByRole('listitem').getByText('said before').waitFor();
  const connected = page.waitForEvent('websocket');
  await page.getByRole('button', { name: 'Live', exact: true }).click();
  const asked = new URL((await connected).url());
  assert.equal(
    asked.pathname,
    `/api/ui/proxy/${uid}/loki/api/v1/tail`,
    'this server is asked, not the other',
  );
  await page.getByRole('status').getByText('Live').waitFor();
  await push([line('said elsewhere')]);
  const lines = page.getByRole('region', { name: 'Live lines' });
  await lines.getByText('said elsewhere').waitFor();
  await shoot(page, 'explore-live-elsewhere');
  await page.getByRole('button', { name: 'Stop' }).click();
  await lines.waitFor({ state: 'detached' });
}

async function history(page) {
  await page.getByRole('button', { name: 'History' }).click();
  await page.getByLabel('Find in history').fill('sum job');
  await page.getByRole('button', { name: 'Star this query' }).click();
  await page.getByRole('button', { name: 'sum by (job) (up)' }).click();
  await page.waitForURL(/q=sum/);
  await page.getByRole('table', { name: 'Values at the end of the time' }).waitFor();
}

/** Lines and labels that would do something if they were taken for more than text. */
async function harmless(page) {
  await page.goto(logsOf('{service_name="hostile"}'));
  const logs = new LogsPart(page);
  await logs.open(1);
  await page
    .getByRole('button', { name: /Only lines with note=/ })
    .first()
    .waitFor();
  await page.getByRole('button', { name: 'Unique labels' }).click();
  await page.goto(
    `/explore?${new URLSearchParams({ q: `label_replace(up, "x", ${JSON.stringify(HOSTILE)}, "", "")` })}`,
  );
  await page.getByRole('cell', { name: HOSTILE }).first().waitFor();
  // In the legend, and where it is pointed at.
  await page.locator('.u-over').hover();
  await page.waitForLoadState('networkidle');
  assert.equal(await page.evaluate(() => window.hostile), undefined, 'nothing of logs or labels runs');
  assert.equal(await page.locator('img[src="x"]').count(), 0);
}

async function narrow(browser, url, problems) {
  const { page, problems: own } = await openPage(browser, url, PHONE);
  for (const address of ['/explore?q=up', logsOf('{service_name="shop"}')]) {
    await page.goto(address);
    await page.waitForLoadState('networkidle');
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(wider <= 1, `${address} is ${wider} pixels wider than a phone`);
  }
  await shoot(page, 'phone-explore-logs');
  await page.context().close();
  problems.push(...own);
}
