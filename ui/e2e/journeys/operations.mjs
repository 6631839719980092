// What operators do: find out why a target is dropped, why an alert is told, what is costly, and who may do what.
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { request } from 'playwright-core';
import { accessibilityProblems } from '../accessibility.mjs';
import { openPage, shoot } from '../browser.mjs';
import { LoginPage, SilencesPage, UsersPage } from '../pages.mjs';
import { binary, firstPassword, folder, freePort, start, startUp, withScreens } from '../processes.mjs';
import { startSink } from '../sink.mjs';

const PHONE = { width: 390, height: 844 };
const PASSWORD = 'a long password';

export async function operations(browser) {
  return [...(await scraping(browser)), ...(await alerting(browser)), ...(await administration(browser))];
}

/** A server in Prometheus's seat with targets, rules and what goes wrong with them. */
async function startPrometheus() {
  const data = folder();
  const address = `127.0.0.1:${await freePort()}`;
  const job = (name, targets, more = '') => `
- job_name: ${name}
  static_configs: [{targets: [${targets.map((target) => `'${target}'`).join(', ')}], labels: {team: infra}}]${more}`;
  const config = `
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [rules.yml]
scrape_configs:${job(
    'self',
    [address],
    `
  metric_relabel_configs:
  - {source_labels: [__name__], regex: 'prometheus_tsdb_.*', action: drop}`,
  )}${job(
    'choosy',
    [address, 'left-out.example:9100', 'bad/address'],
    `
  relabel_configs:
  - {source_labels: [__address__], regex: '(.*):\\d+', target_label: host}
  - {source_labels: [team, host], separator: /, regex: 'infra/left-out.*', action: drop}
  - {target_label: late, replacement: 'yes'}`,
  )}${job('down', ['127.0.0.1:1'])}
`;
  const rules = `
groups:
- name: hosts
  rules:
  - {alert: TargetDown, expr: up == 0, labels: {severity: page}, annotations: {summary: '<b>{{ $labels.job }}</b> is down'}}
  - {record: 'job:up:sum', expr: sum by (job) (up)}
  - {record: broken, expr: 'up * on() up'}
`;
  writeFileSync(path.join(data, 'prometheus.yml'), config);
  writeFileSync(path.join(data, 'rules.yml'), rules);
  const args = [
    'prometheus',
    '--config.file=prometheus.yml',
    '--storage.tsdb.path=data',
    `--web.listen-address=${address}`,
  ];
  const server = await start(binary(), args, `http://${address}/-/ready`, { cwd: data });
  return {
    ...server,
    address,
    stop: () => server.stop().then(() => rmSync(data, { recursive: true, force: true })),
  };
}

async function scraping(browser) {
  const running = await startPrometheus();
  const server = await withScreens(running);
  try {
    const { page, problems } = await openPage(browser, server.url);
    const look = lookAt(page, problems);
    await page.goto('/targets');
    await page
      .getByRole('table', { name: 'Targets of down' })
      .getByText('down', { exact: true })
      .first()
      .waitFor();
    await page.getByText('"bad/address" is not a valid hostname').waitFor();
    // Of the own metrics a part is dropped by relabelling.
    await page
      .getByRole('table', { name: 'Targets of self' })
      .getByText(/^of \d/)
      .waitFor();
    await look('targets');
    await page.getByRole('radio', { name: 'Dropped' }).click();
    await page.getByRole('link', { name: 'Why was it dropped?' }).click();
    const rules = page.getByRole('list', { name: 'Rules' });
    await rules.getByText('dropped here').waitFor();
    await page.getByText('Dropped by rule 2').waitFor();
    await rules.getByText('infra/left-out.example').waitFor();
    await rules.getByText('+ host="left-out.example"').waitFor();
    await look('relabel-dropped');
    // Another host would have stayed.
    const lines = await page.locator('#labels').inputValue();
    await page.locator('#labels').fill(lines.replaceAll('left-out', 'other'));
    await page.getByRole('button', { name: 'Explain' }).click();
    await page.getByText('Kept, with these labels').waitFor();
    await page.reload();
    await page.getByText('Kept, with these labels').waitFor();
    await relabelSeries(page, running.address);
    await page.goto('/targets?tab=discovery');
    await page.getByText('choosy (1 active, 1 dropped)').waitFor();
    await look('discovery');

    await page.goto('/rules');
    await page.getByText('failing', { exact: true }).waitFor();
    await page.getByText('<b>{{ $labels.job }}</b> is down').waitFor();
    await look('rules');
    await page.getByRole('radio', { name: 'Failing' }).click();
    await page.getByText('broken', { exact: true }).waitFor();
    assert.equal(await page.getByText('TargetDown').count(), 0, 'only what fails is left');
    await cardinality(page, look);
    await load(page, look);
    for (const tab of ['blocks', 'flags', 'config', 'tsdb']) {
      await page.goto(`/status?tab=${tab}`);
      await page.waitForLoadState('networkidle');
      await look(`status-${tab}`);
    }
    await narrow(browser, server.url, problems, ['/targets', '/rules', '/status?tab=cardinality']);
    return problems;
  } finally {
    await server.stop();
  }
}

/** A picture, and what is hard to use on what it shows. */
const lookAt = (page, problems) => async (name) => {
  await shoot(page, `operations-${name}`);
  problems.push(...(await accessibilityProblems(page)).map((problem) => `${name}: ${problem}`));
};

async function relabelSeries(page, address) {
  const labels = { __name__: 'prometheus_tsdb_head_series', instance: address, job: 'self' };
  const asked = new URLSearchParams({ pool: 'self', of: 'series', labels: JSON.stringify(labels) });
  await page.goto(`/targets/relabel?${asked}`);
  await page.getByText('Dropped by rule 1').waitFor();
}

async function cardinality(page, look) {
  await page.goto('/status?tab=cardinality');
  const metrics = page.getByRole('table', { name: 'Metrics with most series' });
  await metrics.getByRole('row').nth(2).waitFor();
  await page.getByRole('table', { name: 'Labels with most values' }).getByText('__name__').waitFor();
  await look('cardinality');
  await metrics.getByRole('link').first().click();
  await page.getByRole('button', { name: 'All series' }).waitFor();
  await page.waitForFunction(
    () => document.querySelectorAll('table[aria-label="Metrics with most series"] tbody tr').length === 1,
  );
}

/** A query that takes long is seen by others, and ended. */
async function load(page, look) {
  await page.goto('/status?tab=load');
  await page.getByText('Samples stored').waitFor();
  // Many series, of each of which every step sorts hours of seconds: a query is ended between two series.
  const one = (n) => `label_replace(vector(time()), "n", "${n}", "", "")`;
  const all = Array.from({ length: 16 }, (_, n) => one(n)).join(' or ');
  const query = `avg_over_time(quantile_over_time(0.5, (${all})[6h:1s])[6h:1s])`;
  const end = Math.floor(Date.now() / 1000);
  const asked = page.request.get('/api/v1/query_range', {
    params: { query, start: end - 3000, end, step: 1 },
    timeout: 120_000,
  });
  const row = page
    .getByRole('table', { name: 'Queries that run' })
    .getByRole('row', { name: /quantile_over_time/ });
  await row.waitFor();
  await look('load');
  await row.getByRole('button', { name: 'End' }).click();
  const answer = await asked;
  assert.match((await answer.json()).error, /canceled/);
  const slowest = page.getByRole('table', { name: 'Slowest queries' });
  await slowest.getByRole('row', { name: /quantile_over_time.*canceled/ }).waitFor();
}

const ALERTMANAGER = (sink) => `
route:
  receiver: nobody
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1s
  routes:
  - matchers: [team="db"]
    receiver: database
    routes:
    - {matchers: [severity="page"], receiver: hook, group_by: [...], continue: true}
    - {matchers: [severity=~"page|warn"], receiver: quiet, mute_time_intervals: [nights]}
receivers:
- name: nobody
- name: database
- name: hook
  webhook_configs: [{url: '${sink}'}]
- name: quiet
time_intervals:
- {name: nights, time_intervals: [{times: [{start_time: '00:00', end_time: '06:00'}]}]}
`;

async function alerting(browser) {
  const sink = await startSink(1);
  const config = path.join(folder(), 'alertmanager.yml');
  writeFileSync(config, ALERTMANAGER(sink.url));
  const server = await withScreens(await startUp(undefined, ['--alertmanager-config', config]));
  try {
    const { page, problems } = await openPage(browser, server.url);
    const look = lookAt(page, problems);
    await new LoginPage(page).logIn('admin', firstPassword(server));
    await post(server.url, [
      { labels: { alertname: 'Slow', team: 'db', severity: 'page', host: 'a' } },
      { labels: { alertname: 'Slow', team: 'db', severity: 'warn', host: 'b' } },
      { labels: { alertname: 'Odd', host: 'c' } },
    ]);
    await tree(page, look);
    await page.goto('/routing?tab=history');
    const attempts = page.getByRole('table', { name: 'Attempts' });
    await attempts.getByRole('row', { name: /failed.*503/ }).waitFor();
    await attempts.getByRole('row', { name: /accepted.*hook/ }).waitFor({ timeout: 20_000 });
    assert.equal(sink.taken[0].alerts[0].labels.host, 'a', 'the receiver was told');
    await look('history');
    await page.getByRole('switch', { name: 'Only what failed' }).press('Space');
    await attempts.getByText('accepted').waitFor({ state: 'detached' });
    await alerts(page, look);
    await narrow(browser, server.url, problems, ['/routing', '/routing?tab=history', '/alerts', '/silences']);
    return problems;
  } finally {
    await Promise.all([server.stop(), sink.stop()]);
  }
}

/** Sends alerts as a program does. */
async function post(url, sent) {
  const program = await request.newContext();
  const answer = await program.post(`${url}/api/v2/alerts`, { data: sent });
  await program.dispose();
  assert.ok(answer.ok(), `alerts are taken: ${answer.status()}`);
}

async function tree(page, look) {
  await page.goto('/routing');
  const routes = page.getByRole('region', { name: 'Routing tree' });
  await routes.getByText('silent during nights').waitFor();
  await page.locator('#alert-labels').fill('team="db", severity="page", alertname="New"');
  await page.keyboard.press('Enter');
  const outcome = page.getByRole('region', { name: 'What becomes of it' });
  await outcome.getByText('nobody sent such an alert').waitFor();
  // It goes on to the next sibling.
  assert.equal(await routes.locator('[aria-current="true"]').count(), 2);
  await outcome.getByRole('region', { name: 'Route to hook' }).waitFor();
  await outcome.getByRole('region', { name: 'Route to quiet' }).waitFor();
  await look('routing');
  await page.reload();
  await outcome.waitFor();
}

async function alerts(page, look) {
  await page.goto('/alerts?by=alertname');
  await page.getByText('alertname="Slow" (2)').waitFor();
  await look('alerts');
  await page.getByRole('link', { name: 'Silence all of these' }).first().click();
  await page.getByText('2 alerts match now').waitFor();
  await page.fill('#comment', 'being repaired');
  await look('silence-new');
  await page.getByRole('button', { name: 'Silence', exact: true }).click();
  const row = page.getByRole('row', { name: /being repaired/ });
  await row.getByRole('cell', { name: '2', exact: true }).waitFor();
  await row.getByRole('link', { name: 'Edit' }).click();
  assert.equal(await page.locator('#comment').inputValue(), 'being repaired');
  await page.fill('#comment', 'repaired soon');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('row', { name: /repaired soon/ }).waitFor();
  await look('silences');
  assert.equal(await page.getByRole('row', { name: /being repaired/ }).count(), 0, 'it was changed in place');
  await new SilencesPage(page).expire('repaired soon');
}

async function administration(browser) {
  const sink = await startSink(0);
  const server = await withScreens(await startUp(undefined, ['--anonymous-role', 'none']));
  try {
    const { page, problems } = await openPage(browser, server.url);
    const look = lookAt(page, problems);
    await new LoginPage(page).logIn('admin', firstPassword(server));
    const users = new UsersPage(page);
    for (const [login, role] of [
      ['vera', 'Viewer'],
      ['egon', 'Editor'],
    ])
      await users.create({ login, role, password: PASSWORD });
    await page.goto('/admin');
    await page.getByRole('row', { name: /egon/ }).waitFor();
    await look('users');
    await sources(page, server.url, look);
    await page.goto('/status?tab=logs');
    await page.getByText('Lines of the last day by label').waitFor();
    await look('logs');
    problems.push(...(await roles(browser, server.url)));
    await endings(page, look);
    await profile(page, look);
    await narrow(browser, server.url, problems, ['/admin', '/profile', '/status?tab=load'], (narrowPage) =>
      new LoginPage(narrowPage).logIn('vera', PASSWORD),
    );
    // The data source that is not there was to fail, and so was the end of the last administrator.
    return problems.filter((problem) => !/datasources\/test|users\/1$|status of (502|409)/.test(problem));
  } finally {
    await Promise.all([server.stop(), sink.stop()]);
  }
}

async function sources(page, url, look) {
  await page.goto('/admin?tab=sources');
  await page.getByRole('button', { name: 'New data source' }).click();
  await page.fill('#source-name', 'Another');
  await page.fill('#source-url', 'http://127.0.0.1:1');
  await page.getByRole('button', { name: 'Test' }).click();
  await page
    .getByRole('dialog')
    .getByRole('alert')
    .getByText('127.0.0.1:1/api/v1/status/buildinfo')
    .waitFor();
  await look('source-failing');
  await page.fill('#source-url', url);
  await page.getByRole('button', { name: 'Test' }).click();
  // This server wants to know who asks it.
  await page
    .getByRole('dialog')
    .getByText(/the server answers|status 401/)
    .waitFor();
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('row', { name: /Another/ }).waitFor();
  await page.reload();
  await page.getByRole('row', { name: /Another/ }).waitFor();
  await look('sources');
  await page.getByRole('button', { name: 'Delete Another' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('row', { name: /Another/ }).waitFor({ state: 'detached' });
}

/** What each role sees and may do. */
async function roles(browser, url) {
  const found = [];
  for (const [login, expected] of [
    ['vera', { administration: false, silence: false, users: false, source: false }],
    ['egon', { administration: true, silence: true, users: false, source: false }],
  ]) {
    const { page, problems } = await openPage(browser, url);
    await new LoginPage(page).logIn(login, PASSWORD);
    await page.goto('/silences');
    const create = page.getByRole('link', { name: 'New silence' });
    await create.waitFor();
    const isDisabled = async (locator) => (await locator.getAttribute('aria-disabled')) === 'true';
    const nav = page.getByRole('navigation', { name: 'Pages' });
    const administration = (await nav.getByText('Administration').count()) > 0;
    const silence = !(await isDisabled(create));
    await page.goto('/admin');
    const source = await page.getByRole('button', { name: 'New data source' }).isEnabled();
    const users = (await page.getByRole('tab', { name: 'Users' }).count()) > 0;
    assert.deepEqual({ administration, silence, users, source }, expected, login);
    await page.goto('/status?tab=load');
    await page.getByText('Queries running').waitFor();
    // The server refuses, whatever a page shows.
    const answers = await page.evaluate(async () => {
      const { csrfToken } = await (await fetch('/api/ui/session')).json();
      const send = async (method, path) =>
        (await fetch(path, { method, headers: { 'X-CSRF-Token': csrfToken } })).status;
      return [await send('GET', '/api/ui/users'), await send('DELETE', '/api/operations/queries/1')];
    });
    assert.deepEqual(answers, [403, 403], login);
    found.push(...problems.filter((problem) => !/403/.test(problem)));
    await page.context().close();
  }
  return found;
}

/** Sessions of others are ended, and a user may not log in any more. */
async function endings(page, look) {
  await page.goto('/admin');
  const row = page.getByRole('row', { name: /egon/ });
  await row.getByRole('button', { name: 'Sessions' }).click();
  const dialog = page.getByRole('dialog');
  await dialog
    .getByText(/HeadlessChrome/)
    .first()
    .waitFor();
  await look('sessions');
  await dialog.getByRole('button', { name: 'End all' }).click();
  await dialog.getByText('There is none.').waitFor();
  await page.keyboard.press('Escape');
  await row.getByRole('button', { name: 'Disable egon' }).click();
  await row.getByRole('button', { name: 'Enable egon' }).waitFor();
  const refused = await page.request.post('/api/ui/login', { data: { login: 'egon', password: PASSWORD } });
  assert.equal(refused.status(), 401, 'who is disabled does not get in');
  // The last administrator stays one: what was refused shows as it is.
  await page.getByRole('button', { name: 'Disable admin' }).click();
  await page
    .getByRole('alert')
    .getByText(/one administrator who can log in has to stay/)
    .waitFor();
  await page.getByRole('button', { name: 'Disable admin' }).waitFor();
}

async function profile(page, look) {
  await page.goto('/profile');
  await page.getByRole('radio', { name: 'Light' }).click();
  await Promise.all([page.waitForEvent('load'), page.getByRole('button', { name: 'Save' }).click()]);
  await page.getByText('Where you are logged in').waitFor();
  const background = await page.evaluate(() => window.getComputedStyle(document.body).backgroundColor);
  const [red] = background.match(/\d+/g).map(Number);
  assert.ok(red > 200, `the page is light: ${background}`);
  await look('profile-light');
  await page.goto('/admin');
  await page.getByRole('row', { name: /vera/ }).waitFor();
  await look('users-light');
}

/** No page is wider than a phone. */
async function narrow(browser, url, problems, paths, begin = async () => undefined) {
  const { page, problems: own } = await openPage(browser, url);
  await begin(page);
  await page.setViewportSize(PHONE);
  for (const each of paths) {
    await page.goto(each);
    await page.waitForLoadState('networkidle').catch(() => undefined);
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    if (wider > 1) problems.push(`${each} is ${wider} pixels wider than a phone`);
    await shoot(page, `phone-operations-${each.replace(/\W+/g, '-')}`);
  }
  problems.push(...own);
  await page.context().close();
}
