// What is done with a dashboard by who looks at it: one panel alone by a link, what is behind a panel, keys, times drawn up, legends.
import assert from 'node:assert/strict';
import { openPage, shoot } from '../browser.mjs';
import { DashboardPage, DashboardsPage, LoginPage } from '../pages.mjs';
import { firstPassword, startUp, withScreens } from '../processes.mjs';

const place = (x, y) => ({ x, y, w: 8, h: 8 });
const DASHBOARD = {
  uid: 'looking',
  title: 'Looking',
  schemaVersion: 39,
  time: { from: 'now-15m', to: 'now' },
  templating: {
    list: [
      { type: 'query', name: 'job', query: 'label_values(up, job)', multi: true, includeAll: true, current: { text: ['All'], value: ['$__all'] } },
    ],
  },
  panels: [
    { id: 1, type: 'timeseries', title: 'Up', gridPos: place(0, 0), targets: [{ refId: 'A', expr: 'vector(1) or up{job=~"$job"}', legendFormat: 'line{{job}}' }] },
    { id: 2, type: 'state-timeline', title: 'States', gridPos: place(8, 0), targets: [{ refId: 'A', expr: 'vector(1) or up{job=~"$job"}', legendFormat: 'line{{job}}' }] },
    { id: 3, type: 'piechart', title: 'Parts', gridPos: place(16, 0), targets: [{ refId: 'A', expr: 'vector(3)', legendFormat: 'three', instant: true }, { refId: 'B', expr: 'vector(1)', legendFormat: 'one', instant: true }], options: { displayLabels: ['percent'], legend: { displayMode: 'table', placement: 'right', values: ['percent'] } } },
    { id: 4, type: 'stat', title: 'What Up found', gridPos: place(0, 8), datasource: { type: 'datasource', uid: '-- Dashboard --' }, targets: [{ refId: 'A', panelId: 1 }] },
    { id: 5, type: 'stat', title: 'Of $job', repeat: 'job', gridPos: place(0, 16), targets: [{ refId: 'A', expr: 'vector(1) or up{job="$job"}', instant: true }] },
  ],
}; // prettier-ignore

export async function looking(browser) {
  const server = await withScreens(await startUp());
  try {
    const { page, problems } = await openPage(browser, server.url);
    const password = firstPassword(server);
    if (password) await new LoginPage(page).logIn('admin', password);
    await new DashboardsPage(page).importText(DASHBOARD);
    const dashboard = new DashboardPage(page);
    await dashboard.open('looking');
    await alone(page, dashboard);
    await inside(page, dashboard);
    await keys(page, dashboard);
    await drawn(page, dashboard);
    await page.context().close();
    await gone(browser, server.url);
    return problems;
  } finally {
    await server.stop();
  }
}

const panelOf = (page, key) => page.locator(`[data-viz-panel-key="${key}"]`);

/** A link to one panel, and to a copy of one that is repeated, shows it with its data. */
async function alone(page, dashboard) {
  await dashboard.open('looking', '?viewPanel=panel-1');
  await panelOf(page, 'panel-1').getByText('line', { exact: true }).waitFor();
  assert.equal((await dashboard.panels()).length, 1, 'nothing else is shown');
  // What the choice of a time opens is all on the page.
  await page.getByTestId('data-testid TimePicker Open Button').click();
  const { x } = await page.locator('#TimePickerContent').boundingBox();
  assert.ok(x >= 0, `the choice of a time begins at ${x}`);
  await page.keyboard.press('Escape');
  await shoot(page, 'looking-alone');
  await dashboard.open('looking', '?viewPanel=panel-5-1');
  await panelOf(page, 'panel-5-1').getByText('Of node').waitFor();
  await panelOf(page, 'panel-5-1').getByText('1', { exact: true }).first().waitFor();
  await dashboard.open('looking', '?viewPanel=panel-77');
  await page.getByText('This dashboard has no panel panel-77.').waitFor();
}

/** What is behind a panel: its data in either form, and its JSON with all that is kept. */
async function inside(page, dashboard) {
  await dashboard.open('looking');
  await panelOf(page, 'panel-4').getByText('line').first().waitFor();
  await panelOf(page, 'panel-1').hover();
  await page.keyboard.press('i');
  const drawer = page.getByRole('dialog');
  await drawer.getByRole('columnheader', { name: 'Time' }).waitFor();
  await drawer.getByText('Formatted').click();
  await drawer.getByRole('columnheader', { name: 'Time' }).waitFor();
  await shoot(page, 'looking-data');
  await drawer.getByRole('tab', { name: 'Panel JSON' }).click();
  await drawer.getByText('"legendFormat": "line{{job}}"').waitFor();
  await page.keyboard.press('Escape');
}

async function keys(page, dashboard) {
  await dashboard.open('looking');
  await page.keyboard.press('?');
  const help = page.getByRole('dialog', { name: 'Keyboard shortcuts' });
  await help.getByText('Explore its queries').waitFor();
  await shoot(page, 'looking-keys');
  await page.keyboard.press('Escape');
  await help.waitFor({ state: 'detached' });
  await panelOf(page, 'panel-1').hover();
  await page.keyboard.press('p');
  await page.keyboard.press('l');
  const legend = panelOf(page, 'panel-1').getByRole('button', { name: 'line', exact: true });
  await legend.waitFor({ state: 'detached' });
  await page.keyboard.press('p');
  await page.keyboard.press('x');
  await page.waitForURL('**/explore?**');
  assert.match(decodeURIComponent(page.url()), /up\{job=~/, 'the query of the panel is taken along');
  await page.locator('.cm-content').first().waitFor();
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press('Control+k');
  await page.waitForURL('**/dashboards');
  await page.keyboard.type('Looking');
  await page.getByRole('link', { name: 'Looking' }).click();
  await page.waitForURL('**/d/looking**');
}

/** A part of a timeline that is drawn up is shown alone; an entry of a legend that is clicked shows its part alone. */
async function drawn(page, dashboard) {
  await dashboard.open('looking');
  const parts = panelOf(page, 'panel-3');
  await parts.getByText('75%').first().waitFor();
  await parts.getByText('one', { exact: true }).click();
  await parts.getByText('100%').first().waitFor();
  await parts.getByText('one', { exact: true }).click();
  await parts.getByText('75%').first().waitFor();
  const { x, y, width } = await panelOf(page, 'panel-2').boundingBox();
  await page.mouse.move(x + width * 0.4, y + 80);
  await page.mouse.down();
  await page.mouse.move(x + width * 0.7, y + 80, { steps: 5 });
  await page.getByTestId('brush').waitFor();
  await page.mouse.up();
  await page.waitForURL(/from=2/);
}

/** Where the server does not answer, that is said, and not that nothing fires. */
async function gone(browser, url) {
  const { page } = await openPage(browser, url);
  await page.goto('/rules');
  await page.getByRole('heading', { name: 'Rules' }).waitFor();
  await page.route('**/api/**', (route) => route.abort());
  for (const [link, claim] of [
    ['Alerts', 'No alert fires.'],
    ['Silences', 'Nothing is silenced.'],
  ]) {
    await page.getByRole('link', { name: link, exact: true }).click();
    const told = page.getByText('the server cannot be reached');
    await told.waitFor();
    assert.equal(await page.getByText(claim).count(), 0, `${link} does not say: ${claim}`);
    const { height } = await page.getByRole('alert', { name: 'This could not be loaded' }).boundingBox();
    assert.ok(height < 200, `what is told takes ${height} pixels`);
    await shoot(page, `looking-gone-${link.toLowerCase()}`);
  }
  await page.context().close();
}
