// Folders inside folders, rows, panels that ask several data sources, fields chosen by their values, and exemplars that lead to logs.
import assert from 'node:assert/strict';
import { post, sendSeries } from '../../bench/remoteWrite.mjs';
import { accessibilityProblems } from '../accessibility.mjs';
import { openPage, shoot } from '../browser.mjs';
import { DashboardPage, DashboardsPage, EditPage, FoldersPage, LoginPage, SourcesPage } from '../pages.mjs';
import { firstPassword, folder, startReceiving, startUp, withScreens } from '../processes.mjs';

const TRACE = '4bf92f3577b34da6';

export async function arranging(browser) {
  const own = await startUp();
  const elsewhere = await startReceiving(folder(), '--enable-feature=exemplar-storage');
  const server = await withScreens(own);
  try {
    await measured(own.url, elsewhere.url);
    const { page, problems } = await openPage(browser, server.url);
    page.setDefaultTimeout(15_000);
    const password = firstPassword(server);
    if (password) await new LoginPage(page).logIn('admin', password);
    const steps = { folders, rows, mixed, byValue, xyChart, exemplars };
    for (const [name, step] of Object.entries(steps)) {
      try {
        await step(page, problems, elsewhere);
      } catch (error) {
        await shoot(page, `arrange-failed-${name}`);
        throw new Error(`${name}: ${error.message}`, { cause: error });
      }
    }
    await page.context().close();
    return problems;
  } finally {
    await Promise.all([elsewhere.stop(), server.stop()]);
  }
}

/** A shop that is slow at times: what it took, with an exemplar, and what it said. */
async function measured(url, elsewhere) {
  const now = Date.now();
  const times = Array.from({ length: 21 }, (_, back) => now - (20 - back) * 15_000);
  const took = (instance, seconds) => ({
    labels: { __name__: 'checkout_seconds', job: 'shop', instance },
    samples: times.map((at, index) => [at, seconds + (index % 3)]),
  });
  const exemplars = [{ labels: { trace_id: TRACE }, timeMs: now - 120_000, value: 4 }];
  for (const each of [url, elsewhere])
    await sendSeries(each, [{ ...took('one', 3), exemplars }, took('two', 30)]);
  const lines = ['paid', `refused trace_id=${TRACE}`, 'paid again'];
  const values = lines.map((line, index) => [`${now - 110_000 + index}000000`, line]);
  const streams = [{ stream: { service_name: 'shop', job: 'shop' }, values }];
  await post(`${url}/loki/api/v1/push`, { 'Content-Type': 'application/json' }, JSON.stringify({ streams }));
}

async function look(page, name, problems) {
  await shoot(page, name);
  const found = await accessibilityProblems(page);
  const own = found.filter((problem) => !/LegendLabel|RefreshPicker|TimePicker|role="heading"/.test(problem));
  problems.push(...own.map((problem) => `${name}: ${problem}`));
}

/** A dashboard as the server has it. */
const stored = async (page, uid) => (await page.request.get(`/api/ui/dashboards/${uid}`)).json();

const text = (id, title, y, more = {}) => ({
  id,
  type: 'text',
  title,
  gridPos: { x: 0, y, w: 12, h: 4 },
  options: { mode: 'markdown', content: `what ${title} says` },
  ...more,
});

async function folders(page, problems) {
  const list = new FoldersPage(page);
  for (const title of ['Checkout', 'Search']) {
    const uid = title.toLowerCase();
    await new DashboardsPage(page).importText({ uid, title, schemaVersion: 39, panels: [text(1, 'One', 0)] });
  }
  await list.open();
  await list.create('Teams');
  await list.create('Web', 'Teams');
  await list.create('Shop', 'Web');
  await list.folder('Teams').locator(list.folder('Web')).locator(list.folder('Shop')).waitFor();
  await list.move('Checkout', 'Teams / Web / Shop');
  await list.folder('Shop').getByRole('link', { name: 'Checkout' }).waitFor();
  await list.move('Search', 'Teams / Web');
  await list.folder('Web').getByRole('link', { name: 'Search' }).waitFor();
  assert.equal(await list.folder('Shop').getByRole('link', { name: 'Search' }).count(), 0);
  await list.folder('Teams').getByText('2 dashboards').first().waitFor();
  await look(page, 'arrange-folders', problems);

  // By the folder it lies in, and by those around that.
  for (const [sought, found] of [
    ['shop', ['Checkout']],
    ['teams', ['Checkout', 'Search']],
    ['web search', ['Search']],
    ['teams shop', ['Checkout']],
  ]) {
    await list.search(sought);
    await page.waitForFunction(
      (count) => document.querySelectorAll('main a[href*="/d/"]').length === count,
      found.length,
      { timeout: 5000 },
    );
    assert.deepEqual((await list.titles()).sort(), found, `found by ${sought}`);
  }
  await list.search('');

  // A folder takes what lies in it along, and cannot lie in itself.
  await list.act('folder Web', 'Move');
  await page.getByRole('dialog').getByLabel('Folder').click();
  await page.getByRole('option', { name: 'Dashboards (top)' }).waitFor();
  const offered = await page.getByRole('option').allTextContents();
  assert.ok(!offered.some((path) => /Web/.test(path)), `a folder moves into none of its own: ${offered}`);
  await page.getByRole('option', { name: 'Dashboards (top)' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Move', exact: true }).click();
  await list.folder('Teams').locator(list.folder('Web')).waitFor({ state: 'detached' });
  await list.folder('Web').locator(list.folder('Shop')).getByRole('link', { name: 'Checkout' }).waitFor();

  // The page of a folder shows only what lies in it, and the dashboard where it lies.
  await list.act('folder Shop', 'Open');
  await page.getByRole('heading', { name: 'Shop' }).waitFor();
  assert.deepEqual(await list.titles(), ['Checkout']);
  await page.getByRole('link', { name: 'Checkout' }).click();
  await page.getByRole('link', { name: 'Shop', exact: true }).waitFor();
  const { folderUid } = await stored(page, 'checkout');
  assert.ok(folderUid, 'the server knows the folder');
}

const ROWS = {
  uid: 'rows',
  title: 'Rows',
  schemaVersion: 39,
  panels: [
    { id: 10, type: 'row', title: 'First row', collapsed: false, gridPos: { x: 0, y: 0, w: 24, h: 1 }, panels: [] },
    text(11, 'In first', 1),
    { id: 20, type: 'row', title: 'Second row', collapsed: false, gridPos: { x: 0, y: 5, w: 24, h: 1 }, panels: [] },
    text(21, 'In second', 6),
    {
      id: 30,
      type: 'row',
      title: 'Third row',
      collapsed: true,
      gridPos: { x: 0, y: 10, w: 24, h: 1 },
      panels: [text(31, 'In third', 11)],
    },
  ],
}; // prettier-ignore

/** Titles in the order in which they stand, rows with what lies in them. */
const titles = ({ dashboard }) =>
  [...dashboard.panels]
    .sort((a, b) => a.gridPos.y - b.gridPos.y)
    .map(({ title, panels = [] }) => [title, ...panels.map((inner) => inner.title)].join(': '));

async function rows(page) {
  const edit = new EditPage(page);
  await new DashboardsPage(page).importText(ROWS);
  await new DashboardPage(page).settled();
  const save = async (message) => {
    await edit.save(message);
    await edit.button('Edit').waitFor();
    return titles(await stored(page, 'rows'));
  };
  await edit.start();
  await edit.deleteRow('First row', false);
  await page.getByText('First row').waitFor({ state: 'detached' });
  await page.getByRole('heading', { name: 'In first' }).waitFor();
  assert.deepEqual(await save('One row less'), [
    'In first',
    'Second row',
    'In second',
    'Third row: In third',
  ]);

  await edit.start();
  await edit.deleteRow('Second row', true);
  await page.getByRole('heading', { name: 'In second' }).waitFor({ state: 'detached' });
  assert.deepEqual(await save('And its panels'), ['In first', 'Third row: In third']);

  // A closed row gives its panels back.
  await edit.start();
  await edit.deleteRow('Third row', false);
  await page.getByRole('heading', { name: 'In third' }).waitFor();
  await edit.button('Undo').click();
  await page.getByText('Third row').waitFor();
  await page.getByRole('heading', { name: 'In third' }).waitFor({ state: 'detached' });
  await edit.button('Redo').click();
  await page.getByRole('heading', { name: 'In third' }).waitFor();
  await shoot(page, 'arrange-rows');
  assert.deepEqual(await save('No rows'), ['In first', 'In third']);
  await page.reload();
  await new DashboardPage(page).settled();
  await page.getByText('what In third says').waitFor();
}

async function mixed(page, problems) {
  const edit = new EditPage(page);
  await page.goto('/dashboards/new?from=now-5m&to=now');
  await edit.addPanel('sum by (job) (checkout_seconds)');
  await page.fill('#panel-title', 'Several');
  await edit.chooseSource('-- Mixed --');
  await edit.button('Add query').click();
  await edit.chooseSource('Logs', 'B');
  await edit.writeQuery('B', 'sum by (service_name) (count_over_time({service_name="shop"}[1m]))');
  const preview = page.getByTestId('panel-preview');
  await preview.getByText('{service_name="shop"}', { exact: true }).or(preview.getByText('shop', { exact: true }).nth(1)).first().waitFor(); // prettier-ignore
  await look(page, 'arrange-mixed', problems);
  // One that fails does not take the other along.
  await edit.writeQuery('B', 'sum by (');
  await page.getByRole('region', { name: 'Query B', exact: true }).getByRole('alert').waitFor();
  assert.equal(
    await page.getByRole('region', { name: 'Query A', exact: true }).getByRole('alert').count(),
    0,
  );
  await preview.getByText('shop', { exact: true }).first().waitFor();
  await shoot(page, 'arrange-mixed-failed');
  problems.splice(0, problems.length, ...problems.filter((each) => !/400|loki\/api\/v1\/query/.test(each)));
  await edit.writeQuery('B', 'sum by (service_name) (count_over_time({service_name="shop"}[2m]))');
  await page.getByRole('alert').waitFor({ state: 'detached' });
  await edit.leavePanel();
  await edit.saveNew('Mixed sources');
  const [, uid] = /\/d\/([^/?]+)/.exec(page.url());
  const { dashboard } = await stored(page, uid);
  const [panel] = dashboard.panels;
  assert.equal(panel.datasource.uid, '-- Mixed --');
  assert.deepEqual(
    panel.targets.map(({ refId, datasource }) => [refId, datasource?.uid ?? 'default']),
    [
      ['A', 'default'],
      ['B', 'bartizan-logs'],
    ],
  );
  await page.reload();
  await new DashboardPage(page).settled();
  const [shown] = await new DashboardPage(page).panels();
  assert.equal(shown.status, 'data', 'it shows both after a reload');
}

/** Fields by what their values come to: the slow one is drawn otherwise. */
async function byValue(page, problems) {
  const edit = new EditPage(page);
  await page.goto('/dashboards/new?from=now-5m&to=now');
  await edit.addPanel('checkout_seconds');
  await page.fill('#panel-title', 'Slow ones');
  await page.getByRole('radio', { name: /Overrides/ }).check({ force: true });
  await edit.choose('Add field override', 'Fields with values');
  const rule = page.getByRole('region', { name: 'Override 1' });
  await edit.choose('What values come to', /^Max/, rule);
  await edit.choose('Comparison', '>', rule);
  await rule.getByLabel('Value to compare with').fill('20');
  await rule.getByLabel('Add property to override 1').click();
  await page.keyboard.type('Display name');
  await page.getByRole('option', { name: /Display name/ }).first().click(); // prettier-ignore
  await rule.getByRole('textbox').last().fill('the slow one');
  const preview = page.getByTestId('panel-preview');
  await preview.getByText('the slow one', { exact: true }).waitFor();
  assert.equal(await preview.getByText(/instance="one"/).count(), 1, 'the other one keeps its name');
  await look(page, 'arrange-by-value', problems);
  await edit.leavePanel();
  await edit.saveNew('By value');
  const [, uid] = /\/d\/([^/?]+)/.exec(page.url());
  const [panel] = (await stored(page, uid)).dashboard.panels;
  assert.deepEqual(panel.fieldConfig.overrides, [
    {
      matcher: { id: 'byValue', options: { reducer: 'max', op: 'gt', value: 20 } },
      properties: [{ id: 'displayName', value: 'the slow one' }],
    },
  ]);
}

const XY = {
  uid: 'against',
  title: 'Against',
  schemaVersion: 39,
  time: { from: 'now-5m', to: 'now' },
  panels: [
    {
      id: 1,
      type: 'xychart',
      title: 'One against another',
      gridPos: { x: 0, y: 0, w: 12, h: 9 },
      targets: [
        { refId: 'A', expr: 'checkout_seconds{instance="one"}', legendFormat: 'one' },
        { refId: 'B', expr: 'checkout_seconds{instance="two"}', legendFormat: 'two' },
      ],
      transformations: [{ id: 'joinByField', options: { byField: 'Time', mode: 'outer' } }],
    },
  ],
};

async function xyChart(page, problems) {
  const edit = new EditPage(page);
  await new DashboardsPage(page).importText(XY);
  await new DashboardPage(page).settled();
  await edit.start();
  await edit.editPanel('One against another');
  await page.getByRole('radio', { name: 'Manual' }).check({ force: true });
  await edit.button('Add series').click();
  const series = page.getByRole('region', { name: 'Series 1', exact: true });
  await edit.choose('X field', 'one', series);
  await edit.choose('Y field', 'two', series);
  await edit.choose('Size of points', 'two', series);
  await series.getByLabel('Name of the series').fill('Two against one');
  const preview = page.getByTestId('panel-preview');
  await preview.getByText('Two against one', { exact: true }).waitFor();
  const across = await preview
    .locator('svg[aria-label="XY chart"] circle')
    .evaluateAll((points) => points.map((point) => Math.round(Number(point.getAttribute('r')) * 2)));
  assert.ok(Math.max(...across) > Math.min(...across), `points are of several sizes: ${across}`);
  await look(page, 'arrange-xy', problems);
  await edit.leavePanel();
  await edit.save('Mapped');
  await edit.button('Edit').waitFor();
  const [panel] = (await stored(page, 'against')).dashboard.panels;
  const byName = (options) => ({ matcher: { id: 'byName', options } });
  assert.deepEqual([panel.options.mapping, panel.options.series], [
    'manual',
    [{ x: byName('one'), y: byName('two'), size: byName('two'), name: { fixed: 'Two against one' } }],
  ]); // prettier-ignore
}

/** An exemplar tells its trace, and leads to the lines of it. */
async function exemplars(page, problems, elsewhere) {
  const uid = await new SourcesPage(page).create('Elsewhere', elsewhere.url);
  const query = { refId: 'A', expr: 'checkout_seconds{instance="one"}', exemplar: true };
  await new DashboardsPage(page).importText({
    uid: 'exemplars',
    title: 'Exemplars',
    schemaVersion: 39,
    time: { from: 'now-10m', to: 'now' },
    panels: [
      {
        id: 1,
        type: 'timeseries',
        title: 'Took',
        gridPos: { x: 0, y: 0, w: 24, h: 9 },
        datasource: { type: 'prometheus', uid },
        targets: [query],
      },
    ],
  });
  await new DashboardPage(page).settled();
  const expected = `{job="shop"} |= "${TRACE}"`;
  const link = await follow(page);
  await look(page, 'arrange-exemplar', problems);
  const told = new URL(await link.getAttribute('href'), page.url());
  assert.equal(told.pathname, '/explore/logs');
  assert.equal(told.searchParams.get('text'), TRACE);
  assert.equal(JSON.parse(told.searchParams.get('labels')).instance, 'one');
  await link.click();
  await page.waitForURL((url) => url.pathname === '/explore');
  await onlyItsLine(page);
  const arrived = new URL(page.url()).searchParams;
  assert.deepEqual([arrived.get('q'), arrived.get('from')], [expected, 'now-10m']);

  // In Explore the lines are shown beside the graph.
  await page.goto(`/explore?${new URLSearchParams({ ds: uid, q: query.expr, from: 'now-10m', to: 'now' })}`);
  await (await follow(page)).click();
  const right = page.getByRole('region', { name: 'Right half' });
  await onlyItsLine(right);
  const both = new URL(page.url()).searchParams;
  assert.deepEqual([both.get('q'), both.get('r.q')], [query.expr, expected]);
  await shoot(page, 'arrange-exemplar-explore');
}

/** Opens what is told about the exemplar, and gives the link in it. */
async function follow(page) {
  await page.getByRole('button', { name: 'Exemplar of 4' }).click();
  const about = page.getByRole('dialog', { name: 'Exemplar' });
  await about.getByRole('row', { name: `trace_id ${TRACE}` }).waitFor();
  return about.getByRole('link', { name: 'Logs of this trace' });
}

async function onlyItsLine(part) {
  const lines = part.getByRole('listitem').filter({ hasText: /paid|refused/ });
  await lines.filter({ hasText: TRACE }).waitFor();
  assert.equal(await lines.count(), 1, 'only the line of the trace is there');
}
