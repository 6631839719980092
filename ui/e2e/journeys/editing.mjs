// A dashboard is made, changed in every way, stored, compared, taken back, exported and imported, on a real server.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { accessibilityProblems } from '../accessibility.mjs';
import { openPage, shoot } from '../browser.mjs';
import { GALLERY } from '../gallery.mjs';
import { DashboardPage, DashboardsPage, EditPage, LoginPage } from '../pages.mjs';
import { firstPassword, startUp, withScreens } from '../processes.mjs';

const EXPR = 'sum by (job) (scrape_samples_scraped)';

export async function editing(browser) {
  const server = await withScreens(await startUp());
  try {
    const { page, problems } = await openPage(browser, server.url);
    page.setDefaultTimeout(15_000);
    await new LoginPage(page).logIn('admin', firstPassword(server));
    await hasPast(page);
    const stored = () => read(page);
    const steps = {
      create,
      arrange,
      options,
      variables,
      settings,
      jsonModel,
      history,
      conflict,
      exchange,
      everyType,
      folders,
      provisioned,
      guard,
    };
    for (const [name, step] of Object.entries(steps)) {
      try {
        await step(page, { stored, server, browser, problems });
      } catch (error) {
        await shoot(page, `edit-failed-${name}`);
        throw new Error(`${name}: ${error.message}`, { cause: error });
      }
    }
    await viewer(browser, server, problems);
    return problems;
  } finally {
    await server.stop();
  }
}

/** Keeps a picture, and notes what some cannot use. What lies behind a dialog is not asked, nor are drawn panels. */
async function look(page, name, problems) {
  await shoot(page, name);
  const found = await accessibilityProblems(page);
  const own = found.filter((problem) => !/LegendLabel|RefreshPicker|TimePicker|role="heading"/.test(problem));
  problems.push(...own.map((problem) => `${name}: ${problem}`));
}

/** A graph begins at a step, which has to lie in what was scraped. */
async function hasPast(page) {
  const query = encodeURIComponent('scrape_samples_scraped offset 20s');
  const isThere = async () => {
    const { data } = await (await page.request.get(`/api/v1/query?query=${query}`)).json();
    return data.result.length > 0;
  };
  for (let turn = 0; turn < 60 && !(await isThere()); turn++) await page.waitForTimeout(1000);
  assert.ok(await isThere(), 'the server scrapes itself');
}

/** The dashboard whose page is open, as the server has it. */
async function read(page) {
  const [, uid] = /\/d\/([^/?]+)/.exec(page.url());
  return (await page.request.get(`/api/ui/dashboards/${uid}`)).json();
}

async function create(page, { stored }) {
  const edit = new EditPage(page);
  await page.goto('/dashboards/new?from=now-5m&to=now');
  await edit.addPanel(EXPR);
  const preview = page.getByTestId('panel-preview');
  await preview.getByText('bartizan', { exact: true }).first().waitFor();
  await page.fill('#panel-title', 'Samples');
  await preview.getByRole('heading', { name: 'Samples' }).waitFor();
  await shoot(page, 'edit-panel');
  await edit.visualize('Bar gauge');
  await page.getByRole('button', { name: 'Visualization: Bar gauge' }).waitFor();
  await preview.getByText('bartizan', { exact: true }).first().waitFor();
  await shoot(page, 'edit-panel-bargauge');
  await edit.visualize('Time series');
  await edit.leavePanel();
  await edit.addPanel('up');
  await page.fill('#panel-title', 'Up');
  await edit.visualize('Stat');
  await edit.leavePanel();
  await edit.saveNew('Made by hand');
  const { dashboard, version } = await stored();
  assert.equal(version, 1);
  assert.deepEqual(
    dashboard.panels.map(({ type, title, targets }) => [type, title, targets[0].expr]),
    [
      ['stat', 'Up', 'up'],
      ['timeseries', 'Samples', EXPR],
    ],
  );
  await page.reload();
  await new DashboardPage(page).settled();
  await page.getByRole('heading', { name: 'Samples' }).waitFor();
}

async function arrange(page, { stored, problems }) {
  const edit = new EditPage(page);
  await edit.start();
  const before = await edit.box('Samples');
  const above = await edit.box('Up');
  // The lower panel is taken by its title to the right of the upper one.
  const grip = { x: before.x + 80, y: before.y + 16 };
  await edit.drag(grip, { x: grip.x + above.width + 40, y: above.y + 16 });
  await page.waitForFunction(
    (top) =>
      [...document.querySelectorAll('.react-grid-item')].every(
        (item) => Math.abs(item.getBoundingClientRect().top - top) < 4,
      ),
    above.y,
  );
  const moved = await edit.box('Samples');
  assert.ok(moved.x > above.x + above.width - 8, 'the panel is right of the other');
  const corner = { x: moved.x + moved.width - 6, y: moved.y + moved.height - 6 };
  await edit.drag(corner, { x: corner.x, y: corner.y + 110 });
  await page.waitForFunction(
    (height) =>
      [...document.querySelectorAll('.react-grid-item')].some(
        (item) => item.getBoundingClientRect().height > height + 60,
      ),
    moved.height,
  );
  await shoot(page, 'edit-arranged');
  await edit.button('Undo').click();
  assert.equal(
    Math.round((await edit.box('Samples')).height),
    Math.round(moved.height),
    'making it larger was taken back',
  );
  await edit.button('Redo').click();
  await page.getByRole('button', { name: 'Save dashboard' }).click();
  await page.getByRole('tab', { name: /Changes/ }).click();
  await page.getByText('Panel "Samples"').waitFor();
  await look(page, 'edit-changes', problems);
  await page.getByRole('tab', { name: 'Details' }).click();
  await page.fill('#save-message', 'Side by side');
  await edit.button('Save').click();
  await edit.button('Edit').waitFor();
  const { dashboard } = await stored();
  const { gridPos } = dashboard.panels.find(({ title }) => title === 'Samples');
  assert.deepEqual([gridPos.x, gridPos.y, gridPos.w, gridPos.h], [12, 0, 12, 11]);
}

/** Options of fields, an override, a transformation, a second query. */
async function options(page, { stored }) {
  const edit = new EditPage(page);
  await edit.start();
  await page.getByRole('heading', { name: 'Samples' }).hover();
  await page.getByRole('button', { name: 'Menu for panel Samples' }).click();
  await page.getByRole('menuitem', { name: 'Edit' }).click();
  await page.getByPlaceholder('Search options').fill('decimals');
  await page.getByLabel('Decimals').fill('2');
  await page.getByPlaceholder('Search options').fill('');
  await page.getByRole('radio', { name: /Overrides/ }).check({ force: true });
  await page.getByLabel('Add field override').click();
  await page.getByRole('option', { name: 'Fields with name', exact: true }).click();
  await page.getByLabel('Field', { exact: true }).click();
  await page.getByRole('option', { name: 'bartizan' }).click();
  await page.getByLabel('Add property to override 1').click();
  await page.keyboard.type('Line width');
  await page.getByRole('option', { name: 'Graph styles › Line width' }).click();
  await page.getByRole('region', { name: 'Override 1' }).getByRole('slider').waitFor();
  await edit.button('Add query').click();
  await edit.writeQuery('B', 'count(up)');
  await page.getByTestId('panel-preview').getByText('count(up)').first().waitFor();
  await shoot(page, 'edit-options');
  await page.getByRole('tab', { name: /Transformations/ }).click();
  await page.getByRole('button', { name: /^Organize fields by name/ }).click();
  await shoot(page, 'edit-transformations');
  await edit.leavePanel();
  await edit.save('Options');
  await edit.button('Edit').waitFor();
  const { dashboard } = await stored();
  const panel = dashboard.panels.find(({ title }) => title === 'Samples');
  assert.equal(panel.fieldConfig.defaults.decimals, 2);
  assert.deepEqual(panel.fieldConfig.overrides, [
    { matcher: { id: 'byName', options: 'bartizan' }, properties: [{ id: 'custom.lineWidth', value: 1 }] },
  ]);
  assert.deepEqual(
    panel.targets.map(({ refId, expr }) => [refId, expr]),
    [
      ['A', EXPR],
      ['B', 'count(up)'],
    ],
  );
  assert.equal(panel.transformations[0].id, 'organize');
}

async function variables(page, { stored, problems }) {
  const edit = new EditPage(page);
  await edit.start();
  await edit.settings('Variables');
  await edit.button('Add variable').click();
  await page.fill('#variable-name', 'job');
  await page.fill('#variable-query', 'label_values(up, job)');
  const preview = page.getByRole('region', { name: 'Preview of values' });
  await preview.getByText('bartizan', { exact: true }).waitFor();
  await page.locator('label[for=variable-multi], #variable-multi').first().click({ force: true });
  await look(page, 'edit-variable', problems);
  await edit.button('Back to list').click();
  await page.getByRole('button', { name: 'job', exact: true }).waitFor();
  await edit.leaveSettings();
  await page.getByTestId('dashboard-controls').getByText('job', { exact: true }).waitFor();
  await edit.save('A variable');
  await edit.button('Edit').waitFor();
  const [variable] = (await stored()).dashboard.templating.list;
  assert.deepEqual(
    [variable.name, variable.type, variable.query, variable.multi],
    ['job', 'query', 'label_values(up, job)', true],
  );
}

async function settings(page, { stored, problems }) {
  const edit = new EditPage(page);
  await edit.start();
  await edit.settings('General');
  await page.fill('#dashboard-description', 'All that is scraped');
  await page.fill('#dashboard-tags', 'made');
  await page.keyboard.press('Enter');
  await look(page, 'edit-settings', problems);
  await page.getByRole('tab', { name: 'Links' }).click();
  await edit.button('Add link').click();
  await page.fill('#link-title', 'Elsewhere');
  await page.fill('#link-url', '/explore');
  await edit.button('Back to list').click();
  await page.getByRole('tab', { name: 'Annotations' }).click();
  await edit.button('Add annotation').click();
  await page.fill('#annotation-name', 'Restarts');
  await page.fill('#annotation-expr', 'changes(process_start_time_seconds[1m]) > 0');
  await edit.button('Back to list').click();
  await edit.leaveSettings();
  await page.getByRole('link', { name: 'Elsewhere' }).waitFor();
  await page.getByText('Restarts').waitFor();
  await edit.save('Settings');
  await edit.button('Edit').waitFor();
  const { dashboard } = await stored();
  assert.deepEqual(
    [dashboard.description, dashboard.tags, dashboard.links[0].title],
    ['All that is scraped', ['made'], 'Elsewhere'],
  );
  assert.equal(dashboard.annotations.list[0].name, 'Restarts');
}

async function jsonModel(page, { stored, problems }) {
  const edit = new EditPage(page);
  await edit.start();
  await edit.settings('JSON model');
  const editor = page.getByLabel('Dashboard JSON');
  const { dashboard } = await stored();
  const write = async (json) => {
    await editor.click();
    await page.keyboard.press('ControlOrMeta+a');
    await page.keyboard.insertText(JSON.stringify(json, undefined, 2));
  };
  await write({ ...dashboard, refresh: 'often' });
  await page
    .getByRole('list', { name: 'Problems' })
    .getByText(/"often" is no interval/)
    .waitFor();
  assert.ok(await edit.button('Apply changes').isDisabled(), 'what is wrong is not taken');
  await look(page, 'edit-json-problem', problems);
  await write({ ...dashboard, title: 'Made by JSON', ownField: { kept: true } });
  await edit.button('Apply changes').click();
  await page.getByRole('heading', { name: /Made by JSON/ }).waitFor();
  await edit.leaveSettings();
  await edit.save('By JSON');
  await edit.button('Edit').waitFor();
  const after = (await stored()).dashboard;
  assert.deepEqual([after.title, after.ownField], ['Made by JSON', { kept: true }]);
}

async function history(page, { stored, problems }) {
  const edit = new EditPage(page);
  await edit.start();
  await edit.settings('Versions');
  await page.getByRole('cell', { name: 'Side by side' }).waitFor();
  await look(page, 'edit-versions', problems);
  const row = page.getByRole('row', { name: /Settings/ });
  await row.getByRole('button', { name: 'Compare with latest' }).click();
  await page.getByText('Made by JSON').first().waitFor();
  await page.getByText('Made by hand').first().waitFor();
  await look(page, 'edit-compare', problems);
  await page.getByRole('button', { name: /^Restore version/ }).click();
  await page.getByRole('button', { name: /^Yes, restore/ }).click();
  await edit.button('Edit').waitFor();
  await page.getByRole('heading', { name: 'Made by hand', exact: true }).waitFor();
  const { dashboard } = await stored();
  assert.deepEqual([dashboard.title, dashboard.ownField], ['Made by hand', undefined]);
}

/** Somebody else stores the dashboard while it is edited. */
async function conflict(page, { stored, problems }) {
  const edit = new EditPage(page);
  await edit.start();
  await edit.settings('General');
  await page.fill('#dashboard-title', 'Mine');
  await edit.leaveSettings();
  await page.evaluate(async () => {
    const { csrfToken } = await (await fetch('/api/ui/session')).json();
    const uid = location.pathname.split('/')[2];
    const { dashboard } = await (await fetch(`/api/ui/dashboards/${uid}`)).json();
    const headers = { 'Content-Type': 'application/json', 'X-CSRF-Token': csrfToken };
    const body = JSON.stringify({ dashboard: { ...dashboard, title: 'Theirs' }, overwrite: true });
    await fetch('/api/ui/dashboards', { method: 'POST', headers, body });
  });
  await edit.save('Late');
  await page.getByText('Somebody else has changed this dashboard').waitFor();
  await edit.button('Show their changes').click();
  await page.getByText('Theirs').first().waitFor();
  await shoot(page, 'edit-conflict');
  // The refusal is what is wanted here.
  const refusals = problems.filter((problem) => /409/.test(problem));
  assert.ok(refusals.length > 0, 'the server refuses');
  for (const refusal of refusals) problems.splice(problems.indexOf(refusal), 1);
  await edit.button('Overwrite').click();
  await edit.button('Edit').waitFor();
  assert.equal((await stored()).dashboard.title, 'Mine');
}

async function exchange(page, { stored, problems }) {
  const edit = new EditPage(page);
  await page.getByRole('button', { name: 'Export' }).click();
  await page.getByRole('radio', { name: 'For sharing' }).click();
  await page.getByLabel('Dashboard JSON').getByText('__inputs').waitFor();
  await shoot(page, 'edit-export');
  const [file] = await Promise.all([page.waitForEvent('download'), edit.button('Download file').click()]);
  const shared = JSON.parse(readFileSync(await file.path(), 'utf8'));
  const before = (await stored()).dashboard;
  shared.__inputs.push({
    name: 'DS_OTHER',
    label: 'Other source',
    type: 'datasource',
    pluginId: 'prometheus',
    pluginName: 'Prometheus',
  });
  shared.panels[0].datasource = { type: 'prometheus', uid: '${DS_OTHER}' };
  await page.goto('/dashboards/import');
  await page.fill('#dashboard-json', JSON.stringify(shared));
  await edit.button('Load').click();
  await page.getByText('is here under this identifier').waitFor();
  await page.fill('#import-uid', 'taken-along');
  await page.fill('#import-title', 'Taken along');
  await page.getByLabel('Other source').waitFor();
  await look(page, 'edit-import', problems);
  await edit.button('Import').click();
  await page.waitForURL('**/d/taken-along/**');
  await new DashboardPage(page).settled();
  const { dashboard } = await stored();
  assert.deepEqual(dashboard.panels[0].datasource.uid, 'bartizan-metrics');
  assert.deepEqual(dashboard.panels[1], before.panels[1]);
  assert.ok(!('__inputs' in dashboard));
}

/** Panels of every kind are opened in the editor, and closed again without a change. */
async function everyType(page) {
  const edit = new EditPage(page);
  await new DashboardsPage(page).importText(GALLERY);
  await new DashboardPage(page).settled();
  await edit.start();
  for (const { id, type, title } of GALLERY.panels.filter((each) => each.type !== 'row')) {
    await page.evaluate((panel) => {
      const address = new URL(location.href);
      address.searchParams.set('editPanel', String(panel));
      window.history.pushState(null, '', address);
      window.dispatchEvent(new window.PopStateEvent('popstate', { state: null }));
    }, id);
    await page.getByTestId('panel-preview').waitFor();
    assert.equal(await page.inputValue('#panel-title'), title, `${type} has its title`);
    await page.getByRole('complementary').getByPlaceholder('Search options').waitFor();
    await page.waitForLoadState('networkidle');
    if (['table', 'text', 'logs', 'heatmap'].includes(type)) await shoot(page, `edit-type-${type}`);
    assert.ok(
      await edit.button('Discard panel changes').isDisabled(),
      `${type} is not changed by being looked at`,
    );
    await edit.leavePanel();
  }
  await edit.button('Exit edit').click();
  await edit.button('Edit').waitFor();
}

async function folders(page, { problems }) {
  const edit = new EditPage(page);
  await page.goto('/dashboards');
  await edit.button('New').click();
  await page.getByRole('menuitem', { name: 'New folder' }).click();
  await page.fill('#folder-title', 'Own things');
  await edit.button('Create').click();
  const folder = page.getByRole('region', { name: 'Folder Own things' });
  await folder.waitFor();
  await page.getByRole('button', { name: 'Actions of Taken along' }).click();
  await page.getByRole('menuitem', { name: 'Move' }).click();
  await page.getByRole('dialog').getByLabel('Folder').click();
  await page.getByRole('option', { name: 'Own things' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Move', exact: true }).click();
  await folder.getByRole('link', { name: 'Taken along' }).waitFor();
  await page.getByRole('button', { name: 'Actions of folder Own things' }).click();
  await page.getByRole('menuitem', { name: 'Rename' }).click();
  await page.fill('#folder-title', 'Other things');
  await edit.button('Rename').click();
  await page.getByRole('region', { name: 'Folder Other things' }).waitFor();
  await page.getByPlaceholder('Search for dashboards').fill('taken');
  await page.getByRole('link', { name: 'Made by hand' }).waitFor({ state: 'detached' });
  await look(page, 'edit-folders', problems);
  await page.getByPlaceholder('Search for dashboards').fill('');
  await page.getByRole('button', { name: 'Mark Taken along with a star' }).click();
  await page.getByRole('button', { name: 'Remove the star of Taken along' }).waitFor();
  await page.getByRole('button', { name: 'Actions of Taken along' }).click();
  await page.getByRole('menuitem', { name: 'Set as my home' }).click();
  await page.getByText('Home', { exact: true }).nth(1).waitFor();
  await page.goto('/');
  await page.waitForURL('**/d/taken-along**');
  await page.getByRole('link', { name: 'Other things' }).waitFor();
}

/** What comes from a file is changed here only as a copy. */
async function provisioned(page) {
  const edit = new EditPage(page);
  const shown = new DashboardPage(page);
  await shown.open('bartizan-overview');
  await page.getByText('Provisioned').waitFor();
  await edit.start();
  await edit.saveNew('Overview of mine');
  const { version, provider } = await read(page);
  assert.deepEqual([version, provider ?? null], [1, null]);
}

async function guard(page) {
  const edit = new EditPage(page);
  await edit.start();
  await edit.addPanel('up');
  await edit.leavePanel();
  await page.getByRole('navigation').getByRole('link', { name: 'Explore' }).click();
  await page.getByText('This dashboard has changes that were not saved').waitFor();
  await shoot(page, 'edit-leave');
  await edit.button('Stay').click();
  assert.match(page.url(), /\/d\//);
  await page.getByRole('navigation').getByRole('link', { name: 'Explore' }).click();
  await edit.button('Leave without saving').click();
  await page.waitForURL('**/explore**');
}

/** Who may only look sees no way to change anything, and the server takes nothing. */
async function viewer(browser, server, problems) {
  const { page, problems: own } = await openPage(browser, server.url);
  const shown = new DashboardPage(page);
  await shown.open('taken-along');
  assert.equal(await page.getByRole('button', { name: 'Edit', exact: true }).count(), 0);
  await page.goto('/d/taken-along?editPanel=1');
  await shown.settled();
  assert.equal(await page.getByTestId('panel-preview').count(), 0, 'an address opens no editor');
  await page.goto('/dashboards');
  await page.getByRole('link', { name: 'Taken along' }).waitFor();
  assert.equal(await page.getByRole('button', { name: 'New', exact: true }).count(), 0);
  problems.push(...own);
  // What is refused is noted by the browser as a failure, which is wanted here.
  const status = await page.evaluate(async () => {
    const headers = { 'Content-Type': 'application/json' };
    const body = JSON.stringify({ dashboard: { title: 'No' } });
    return (await fetch('/api/ui/dashboards', { method: 'POST', headers, body })).status;
  });
  assert.equal(status, 401);
}
