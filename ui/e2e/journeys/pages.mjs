// Every page is opened and used on a real server.
import assert from 'node:assert/strict';
import { openPage, shoot } from '../browser.mjs';
import { DashboardPage, DashboardsPage, ExplorePage, LoginPage, SilencesPage } from '../pages.mjs';
import { firstPassword, startUp, withScreens } from '../processes.mjs';

const PAGES = [
  '/',
  '/dashboards',
  '/explore',
  '/alerts',
  '/silences',
  '/silences/new',
  '/rules',
  '/targets',
  '/status',
  '/status?tab=flags',
  '/status?tab=config',
  '/status?tab=tsdb',
  '/nowhere',
];
const PHONE = { width: 390, height: 844 };

/** What would run if anything of it were taken for more than text. */
const HOSTILE = '<img src=x onerror="window.hostile=1"><script>window.hostile=1</script>';

export async function pages(browser) {
  const server = await withScreens(await startUp());
  try {
    const { page, problems } = await openPage(browser, server.url);
    for (const path of PAGES) {
      await page.goto(path);
      await page.waitForLoadState('networkidle');
      await shoot(page, `page-${path.replace(/\W+/g, '-')}`);
    }
    const password = firstPassword(server);
    if (password) await new LoginPage(page).logIn('admin', password);
    await explore(page);
    await silence(page);
    await hostile(page, server.url);
    await phone(browser, server.url, problems);
    return problems;
  } finally {
    await server.stop();
  }
}

async function explore(page) {
  const exploring = new ExplorePage(page);
  await exploring.open();
  await exploring.run('up');
  await page.getByText('127.0.0.1').first().waitFor();
  assert.match(page.url(), /q=.*up/, 'the address holds the query');
  await shoot(page, 'explore-metrics');
  await page.reload();
  await page.getByText('127.0.0.1').first().waitFor();
}

async function silence(page) {
  const silences = new SilencesPage(page);
  await silences.create({ label: 'alertname', value: 'Nothing', author: 'me', comment: 'being tried' });
  await page.getByRole('row', { name: /being tried/ }).waitFor();
  await shoot(page, 'silences');
  await silences.expire('being tried');
}

async function hostile(page, url) {
  const time = `${Date.now()}000000`;
  const body = JSON.stringify({
    streams: [{ stream: { service_name: 'hostile', note: HOSTILE }, values: [[time, HOSTILE]] }],
  });
  await fetch(`${url}/loki/api/v1/push`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body,
  });
  await new DashboardsPage(page).importText({
    uid: 'hostile',
    title: HOSTILE,
    tags: [HOSTILE],
    schemaVersion: 39,
    links: [{ title: 'link', type: 'link', url: 'javascript:window.hostile=1' }],
    templating: {
      list: [
        {
          type: 'custom',
          name: 'x',
          query: HOSTILE.replaceAll(',', ''),
          current: { text: HOSTILE, value: HOSTILE },
        },
      ],
    },
    panels: [
      {
        id: 1,
        type: 'text',
        title: HOSTILE,
        description: HOSTILE,
        gridPos: { x: 0, y: 0, w: 12, h: 6 },
        options: { mode: 'html', content: HOSTILE },
      },
      {
        id: 2,
        type: 'text',
        gridPos: { x: 12, y: 0, w: 12, h: 6 },
        options: { mode: 'markdown', content: `${HOSTILE} [click](javascript:window.hostile=1)` },
      },
      {
        id: 3,
        type: 'table',
        title: 'Table',
        gridPos: { x: 0, y: 6, w: 12, h: 6 },
        targets: [
          {
            refId: 'A',
            expr: `label_replace(up, "x", ${JSON.stringify(HOSTILE)}, "", "")`,
            instant: true,
            format: 'table',
          },
        ],
      },
      {
        id: 4,
        type: 'logs',
        title: 'Logs',
        gridPos: { x: 12, y: 6, w: 12, h: 6 },
        datasource: { type: 'loki' },
        targets: [{ refId: 'A', expr: '{service_name="hostile"}' }],
      },
    ],
  });
  await new DashboardPage(page).settled();
  await page
    .getByRole('button', { name: /onerror/ })
    .first()
    .click();
  await shoot(page, 'hostile');
  assert.equal(await page.evaluate(() => window.hostile), undefined, 'nothing of a dashboard runs');
  const links = await page.evaluate(() =>
    [...document.querySelectorAll('a[href]')].map((link) => link.getAttribute('href')),
  );
  assert.deepEqual(
    links.filter((href) => /^\s*javascript:/i.test(href)),
    [],
    'no link runs anything',
  );
}

async function phone(browser, url, problems) {
  const { page, problems: own } = await openPage(browser, url, PHONE);
  for (const path of ['/', '/alerts', '/explore']) {
    await page.goto(path);
    await page.waitForLoadState('networkidle');
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(wider <= 1, `${path} is ${wider} pixels wider than a phone`);
    await shoot(page, `phone-${path.replace(/\W+/g, '-')}`);
  }
  problems.push(...own);
}
