// Every page is opened and used on a real server.
import assert from 'node:assert/strict';
import { request } from 'playwright-core';
import { accessibilityProblems } from '../accessibility.mjs';
import { openPage, shoot } from '../browser.mjs';
import { GALLERY } from '../gallery.mjs';
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
  '/dashboards/nowhere',
];
const DESKTOP = { width: 1440, height: 900 };
const TALL = { width: 1600, height: 4000 };
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
      problems.push(...(await accessibilityProblems(page)).map((problem) => `${path}: ${problem}`));
    }
    const password = firstPassword(server);
    if (password) await new LoginPage(page).logIn('admin', password);
    await explore(page);
    await silence(page);
    await hostile(page, server.url);
    await gallery(page, server.url);
    problems.push(...(await accessibilityProblems(page)).map((problem) => `gallery: ${problem}`));
    await shipped(page, problems);
    await phone(browser, server.url, problems);
    return problems;
  } finally {
    await server.stop();
  }
}

async function explore(page) {
  const exploring = new ExplorePage(page);
  await exploring.open();
  await exploring.type('rate(node_cpu_sec');
  await page.locator('.cm-tooltip-autocomplete').getByText('node_cpu_seconds_total').waitFor();
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
  await push(url, 'hostile', HOSTILE);
  await new DashboardsPage(page).importText({
    uid: 'hostile',
    title: HOSTILE,
    tags: ['<i onclick="hostile=1">'],
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
      {
        id: 5,
        type: 'timeseries',
        title: 'Annotated',
        gridPos: { x: 0, y: 12, w: 24, h: 6 },
        targets: [{ refId: 'A', expr: 'vector(1)', legendFormat: HOSTILE }],
      },
    ],
    annotations: {
      list: [
        {
          name: HOSTILE,
          enable: true,
          datasource: { type: 'prometheus' },
          expr: `label_replace(vector(1), "x", ${JSON.stringify(HOSTILE)}, "", "")`,
          titleFormat: HOSTILE,
          textFormat: '{{x}}',
          tagKeys: 'x',
        },
      ],
    },
  });
  await new DashboardPage(page).settled();
  await page.getByRole('button', { name: 'Details of line 1' }).click();
  await page.getByTestId('annotation').first().hover();
  await page.getByText(HOSTILE).last().waitFor();
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

/** Sends a line as a program does: without cookies, and without the headers by which browsers are known. */
async function push(url, service, line) {
  const streams = [
    { stream: { service_name: service, note: HOSTILE }, values: [[`${Date.now()}000000`, line]] },
  ];
  const program = await request.newContext();
  const answer = await program.post(`${url}/loki/api/v1/push`, { data: { streams } });
  await program.dispose();
  assert.ok(answer.ok(), `logs are taken: ${answer.status()}`);
}

/** Which panels a dashboard shows ill. */
async function ill(dashboard) {
  const panels = await dashboard.panels();
  return panels.filter(({ status }) => status === 'error' || status === 'unknown');
}

async function gallery(page, url) {
  await push(url, 'gallery', 'level=warn msg="a line"');
  await page.setViewportSize(TALL);
  await new DashboardsPage(page).importText(GALLERY);
  const dashboard = new DashboardPage(page);
  await dashboard.settled();
  assert.deepEqual(await ill(dashboard), [], 'no panel of the gallery is ill');
  const keys = (await dashboard.panels()).map(({ key }) => key);
  assert.equal(
    keys.filter((key) => key.startsWith('panel-50')).length,
    2,
    'a panel is repeated for both jobs',
  );
  assert.equal(keys.filter((key) => key.startsWith('panel-61')).length, 2, 'a row is repeated for both jobs');
  await shoot(page, 'gallery');
  await dashboard.chooseRange('Last 15 minutes');
  assert.match(page.url(), /from=now-15m/);
}

/** The dashboards that come with the program; a server that keeps none has none. */
async function shipped(page, problems) {
  const answer = await page.request.get('/api/ui/search');
  if (!answer.ok()) return;
  for (const { uid } of await answer.json()) {
    // Its content is as its author left it, without texts for images.
    if (uid === 'hostile') continue;
    const dashboard = new DashboardPage(page);
    await dashboard.open(uid);
    for (const { key, status, text } of await ill(dashboard))
      problems.push(`${uid} ${key}: ${status}: ${text}`);
    problems.push(...(await accessibilityProblems(page)).map((problem) => `${uid}: ${problem}`));
    await shoot(page, `shipped-${uid}`);
  }
  await page.setViewportSize(DESKTOP);
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
