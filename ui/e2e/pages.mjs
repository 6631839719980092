// Page objects: what can be done on the pages, by the words a user reads.

export class LoginPage {
  constructor(page) {
    this.page = page;
  }

  async logIn(login, password) {
    await this.page.goto('/login');
    await this.page.fill('#login', login);
    await this.page.fill('#password', password);
    await this.page.keyboard.press('Enter');
    await this.page.getByRole('button', { name: /Log out/ }).waitFor();
  }
}

export class DashboardsPage {
  constructor(page) {
    this.page = page;
  }

  async importFiles(files) {
    await this.page.goto('/dashboards/import');
    await this.page.locator('input[type=file]').setInputFiles(files);
    await this.page.waitForURL((url) => !url.pathname.endsWith('/import'));
  }

  async importText(json) {
    await this.page.goto('/dashboards/import');
    await this.page.fill('#dashboard-json', JSON.stringify(json));
    await this.page.getByRole('button', { name: 'Load' }).click();
    await this.page.getByRole('button', { name: 'Import', exact: true }).click();
    const refusal = this.page.getByRole('alert');
    const done = this.page.waitForURL((url) => url.pathname.startsWith('/d/'));
    const refused = refusal.waitFor().then(async () => {
      throw new Error(`the dashboard was not taken: ${await refusal.textContent()}`);
    });
    await Promise.race([done, refused]);
    refused.catch(() => undefined);
  }
}

/** The list of dashboards by folder. */
export class FoldersPage {
  constructor(page) {
    this.page = page;
  }

  async open() {
    await this.page.goto('/dashboards');
    await this.page.getByPlaceholder('Search for dashboards').waitFor();
  }

  /** A folder, by its title, wherever it lies. */
  folder(title) {
    return this.page.getByRole('region', { name: `Folder ${title}`, exact: true });
  }

  async act(what, action) {
    await this.page.getByRole('button', { name: `Actions of ${what}`, exact: true }).click();
    await this.page.getByRole('menuitem', { name: action, exact: true }).click();
  }

  /** Makes a folder, inside another one where that is named. */
  async create(title, parent) {
    if (parent) await this.act(`folder ${parent}`, 'New folder here');
    else {
      await this.page.getByRole('button', { name: 'New', exact: true }).click();
      await this.page.getByRole('menuitem', { name: 'New folder' }).click();
    }
    await this.page.fill('#folder-title', title);
    await this.page.getByRole('button', { name: 'Create', exact: true }).click();
    await this.folder(title).waitFor();
  }

  /** Moves a dashboard, or a folder, to where `path` leads: titles of folders with ` / ` between them. */
  async move(what, path) {
    await this.act(what, 'Move');
    const dialog = this.page.getByRole('dialog');
    await dialog.getByLabel('Folder').click();
    await this.page.getByRole('option', { name: path, exact: true }).click();
    await dialog.getByRole('button', { name: 'Move', exact: true }).click();
    await dialog.waitFor({ state: 'detached' });
  }

  async search(text) {
    await this.page.getByPlaceholder('Search for dashboards').fill(text);
  }

  /** The titles of the dashboards that are listed, in their order. */
  titles() {
    return this.page.locator('main a[href*="/d/"]').allTextContents();
  }
}

export class DashboardPage {
  constructor(page) {
    this.page = page;
  }

  async open(uid, search = '') {
    await this.page.goto(`/d/${uid}${search}`);
    await this.settled();
  }

  /** Waits until panels are there and none is loading. */
  async settled() {
    await this.page.getByTestId('dashboard-controls').waitFor();
    await this.page
      .waitForFunction(() => document.querySelectorAll('[data-viz-panel-key]').length > 0, undefined, {
        timeout: 10_000,
      })
      .catch(() => undefined);
    await this.page.waitForLoadState('networkidle');
    await this.page.waitForTimeout(700);
  }

  /** Each panel in sight: its key, title, and how it is. */
  panels() {
    return this.page.evaluate(() =>
      [...document.querySelectorAll('[data-viz-panel-key]')].map((panel) => {
        const text = panel.textContent ?? '';
        const failed = panel.querySelector(
          '[data-testid*="Panel status error"], [data-testid*="panel-status-error"]',
        );
        const missing = /plugin not found|no panel of type/i.test(text);
        const empty = /No data|No rows|No logs found/.test(text);
        return {
          key: panel.getAttribute('data-viz-panel-key'),
          status: missing ? 'unknown' : failed ? 'error' : empty ? 'empty' : 'data',
          text: text.slice(0, 120),
        };
      }),
    );
  }

  async chooseRange(name) {
    await this.page.getByTestId('data-testid TimePicker Open Button').click();
    await this.page.getByText(name, { exact: true }).click();
    await this.settled();
  }
}

/** A dashboard that is edited. */
export class EditPage {
  constructor(page) {
    this.page = page;
  }

  button(name) {
    return this.page.getByRole('button', { name, exact: true });
  }

  async start() {
    await this.button('Edit').click();
    await this.button('Add').waitFor();
  }

  /** Adds a panel with one query, and stays in its editor. */
  async addPanel(expr) {
    const first = this.button('Add visualization');
    if (await first.isVisible()) await first.click();
    else {
      await this.button('Add').click();
      await this.page.getByRole('menuitem', { name: 'Visualization' }).click();
    }
    await this.writeQuery('A', expr);
  }

  async writeQuery(refId, expr) {
    const editor = this.page.getByLabel(`Query ${refId} text`);
    await editor.click();
    await this.page.keyboard.press('ControlOrMeta+a');
    await this.page.keyboard.type(expr);
    await this.page.keyboard.press('Escape');
    await this.page.keyboard.press('Shift+Enter');
    await this.page.waitForLoadState('networkidle');
  }

  async visualize(name) {
    await this.page.getByRole('button', { name: /^Visualization:/ }).click();
    await this.page.getByRole('option', { name, exact: true }).click();
  }

  async leavePanel() {
    await this.button('Back to dashboard').click();
    await this.page.getByTestId('panel-preview').waitFor({ state: 'detached' });
  }

  async settings(part) {
    await this.button('Settings').click();
    await this.page.getByRole('tab', { name: part }).click();
  }

  async leaveSettings() {
    await this.button('Back to dashboard').click();
    await this.button('Settings').waitFor();
  }

  /** Opens the editor of a panel. */
  async editPanel(title) {
    await this.page.getByRole('heading', { name: title, exact: true }).hover();
    await this.page.getByRole('button', { name: `Menu for panel ${title}`, exact: true }).click();
    // Beside its name is its key.
    await this.page.getByRole('menuitem', { name: /^Edit\b/ }).click();
    await this.page.getByTestId('panel-preview').waitFor();
  }

  /** Chooses in a list that opens: `field` is its name or where it is, within `part` of the page. */
  async choose(field, option, part = this.page) {
    const list = typeof field === 'string' ? part.getByLabel(field, { exact: true }) : field;
    await list.click();
    await this.page.getByRole('option', { name: option }).first().click();
  }

  /** The data source of the panel, or of one of its queries. */
  async chooseSource(name, refId) {
    const part = refId ? this.page.getByRole('region', { name: `Query ${refId}`, exact: true }) : this.page;
    await this.choose(part.getByLabel('Data source', { exact: true }).first(), name);
  }

  /** Deletes a row, with its panels or without. */
  async deleteRow(title, withPanels) {
    const row = this.page
      .locator('.react-grid-item')
      .filter({ has: this.page.getByText(title, { exact: true }) });
    await row.hover();
    await row.getByRole('button', { name: 'Delete row' }).click();
    await this.button(withPanels ? 'Row and panels' : 'Row only').click();
    await this.page.getByRole('dialog').waitFor({ state: 'detached' });
  }

  /** Saves for the first time, or as a copy. */
  async saveNew(title) {
    await this.page.getByRole('button', { name: /^Save (dashboard|as copy)$/ }).click();
    await this.page.fill('#copy-title', title);
    await this.button('Save').click();
    await this.page.waitForURL((url) => url.pathname.startsWith('/d/'));
    await this.button('Edit').waitFor();
  }

  async save(message) {
    await this.button('Save dashboard').click();
    await this.page.fill('#save-message', message);
    await this.button('Save').click();
  }

  /** Where a panel is in the window, once it moves no more. */
  async box(title) {
    const header = this.page.getByRole('heading', { name: title, exact: true });
    const item = this.page.locator('.react-grid-item').filter({ has: header });
    let last;
    for (;;) {
      const box = await item.boundingBox();
      if (JSON.stringify(box) === JSON.stringify(last)) return box;
      last = box;
      await this.page.waitForTimeout(120);
    }
  }

  /** Takes hold at one point and lets go at another, by steps as a hand does. */
  async drag(from, to) {
    await this.page.mouse.move(from.x, from.y);
    await this.page.mouse.down();
    for (let step = 1; step <= 10; step++) {
      await this.page.mouse.move(
        from.x + ((to.x - from.x) * step) / 10,
        from.y + ((to.y - from.y) * step) / 10,
      );
    }
    await this.page.mouse.up();
  }
}

export class ExplorePage {
  constructor(page) {
    this.page = page;
  }

  async open() {
    await this.page.goto('/explore');
    await this.page.locator('.cm-content').first().waitFor();
  }

  async type(expr) {
    await this.page.locator('.cm-content').first().click();
    await this.page.keyboard.type(expr, { delay: 5 });
  }

  async run(expr) {
    await this.type(expr);
    await this.page.keyboard.press('Escape');
    await this.page.keyboard.press('Shift+Enter');
    await this.page.waitForLoadState('networkidle');
  }
}

/** The lines of a page that shows logs. */
export class LogsPart {
  constructor(page) {
    this.page = page;
  }

  /** Opens a line, counted from 1, unless it is open. */
  async open(place) {
    const toggle = this.page.getByRole('button', { name: `Details of line ${place}`, exact: true }).first();
    await this.page.waitForLoadState('networkidle');
    if ((await toggle.getAttribute('aria-expanded')) !== 'true') await toggle.click();
  }
}

export class SilencesPage {
  constructor(page) {
    this.page = page;
  }

  async create({ label, value, author, comment }) {
    await this.page.goto('/silences/new');
    await this.page.getByLabel('Label', { exact: true }).fill(label);
    await this.page.getByLabel('Value', { exact: true }).fill(value);
    await this.page.fill('#author', author);
    await this.page.fill('#comment', comment);
    await this.page.getByRole('button', { name: 'Silence', exact: true }).click();
    await this.page.waitForURL('**/silences');
  }

  async expire(comment) {
    await this.page
      .getByRole('row', { name: new RegExp(comment) })
      .getByRole('button', { name: 'Expire' })
      .click();
    await this.page.getByRole('dialog').getByRole('button', { name: 'Expire' }).click();
    await this.page
      .getByRole('row', { name: new RegExp(comment) })
      .getByText('expired')
      .waitFor();
  }
}

/** The data sources that the server keeps. */
export class SourcesPage {
  constructor(page) {
    this.page = page;
  }

  /** Adds another server, and gives what names it. */
  async create(name, url, kind) {
    await this.page.goto('/admin?tab=sources');
    await this.page.getByRole('button', { name: 'New data source' }).click();
    await this.page.fill('#source-name', name);
    if (kind) {
      await this.page.locator('#source-kind').click();
      await this.page.getByRole('option', { name: kind }).click();
    }
    await this.page.fill('#source-url', url);
    await this.page.getByRole('button', { name: 'Save' }).click();
    await this.page.getByRole('row', { name: new RegExp(name) }).waitFor();
    const all = await (await this.page.request.get('/api/ui/datasources')).json();
    return all.find((source) => source.name === name).uid;
  }
}

export class UsersPage {
  constructor(page) {
    this.page = page;
  }

  async create({ login, role, password }) {
    await this.page.goto('/admin');
    await this.page.getByRole('button', { name: 'New user' }).click();
    await this.page.fill('#new-login', login);
    await this.page.fill('#new-password', password);
    await this.page.locator('#new-role').click();
    await this.page.getByRole('option', { name: new RegExp(`^${role}`) }).click();
    await this.page.getByRole('button', { name: 'Create' }).click();
    await this.page.getByRole('row', { name: new RegExp(login) }).waitFor();
  }
}
