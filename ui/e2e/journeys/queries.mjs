// What dashboards ask, counted: the same only once, and nothing for what is not in sight.
import assert from 'node:assert/strict';
import { openPage } from '../browser.mjs';
import { DashboardPage, DashboardsPage, LoginPage } from '../pages.mjs';
import { firstPassword, startUp, withScreens } from '../processes.mjs';

const panel = (id, expr, y, x = 0) => ({
  id,
  type: 'timeseries',
  title: `Panel ${id}`,
  gridPos: { x, y, w: 6, h: 6 },
  targets: [{ refId: 'A', expr }],
});

const DASHBOARD = {
  uid: 'queries',
  title: 'Queries',
  schemaVersion: 39,
  panels: [
    ...[1, 2, 3, 4].map((id) => panel(id, 'up', 0, (id - 1) * 6)),
    {
      id: 10,
      type: 'row',
      title: 'Closed',
      collapsed: true,
      gridPos: { x: 0, y: 6, w: 24, h: 1 },
      panels: [panel(11, 'vector(11)', 7)],
    },
    {
      id: 20,
      type: 'row',
      title: 'Open',
      collapsed: false,
      gridPos: { x: 0, y: 7, w: 24, h: 1 },
      panels: [],
    },
    {
      id: 21,
      type: 'text',
      gridPos: { x: 0, y: 8, w: 24, h: 60 },
      options: { mode: 'markdown', content: 'long' },
    },
    panel(5, 'vector(5)', 68),
  ],
};

export async function queries(browser) {
  const server = await withScreens(await startUp());
  try {
    const { page, problems } = await openPage(browser, server.url);
    const password = firstPassword(server);
    if (password) await new LoginPage(page).logIn('admin', password);
    const dashboard = new DashboardPage(page);
    await new DashboardsPage(page).importText(DASHBOARD);
    await dashboard.settled();
    const asked = [];
    page.on('request', (request) => {
      if (!request.url().includes('/api/v1/query')) return;
      asked.push(new URLSearchParams(request.postData() ?? new URL(request.url()).search).get('query'));
    });
    await dashboard.open('queries', '?from=now-5m&to=now');
    assert.deepEqual(asked, ['up'], 'four panels ask once for the same; what is not in sight asks nothing');
    await page
      .getByRole('button', { name: /Expand row/ })
      .first()
      .click();
    await untilAsked(page, asked, 'vector(11)');
    assert.ok(!asked.includes('vector(5)'), 'what is below what is shown still asks nothing');
    await page.mouse.move(700, 600);
    await page.mouse.wheel(0, 10_000);
    await untilAsked(page, asked, 'vector(5)');
    await page.context().close();
    return problems;
  } finally {
    await server.stop();
  }
}

/** How long something is waited for that is asked as soon as it comes into sight. */
const ASKED_WITHIN_MS = 20_000;

async function untilAsked(page, asked, query) {
  const until = Date.now() + ASKED_WITHIN_MS;
  while (!asked.includes(query)) {
    assert.ok(Date.now() < until, `${query} is asked when it comes into sight`);
    await page.waitForTimeout(50);
  }
}
