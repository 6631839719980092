// Without a mouse: log in, open a dashboard, change its time, silence an alert.
import assert from 'node:assert/strict';
import { request } from 'playwright-core';
import { accessibilityProblems } from '../accessibility.mjs';
import { openPage, shoot } from '../browser.mjs';
import { firstPassword, startUp, withScreens } from '../processes.mjs';

/** More steps than these nobody would go to reach something. */
const STEPS_MAX = 200;

export async function keyboard(browser) {
  const own = await startUp();
  const server = await withScreens(own);
  try {
    const { page, problems } = await openPage(browser, server.url);
    await fire(own.url);
    const hands = new Keyboard(page);
    await page.goto('/');
    const password = firstPassword(server);
    if (password) {
      await hands.to(/^Log in$/);
      await page.keyboard.press('Enter');
      await page.waitForURL('**/login**');
      await hands.to(/^name$/i, 'textbox');
      await page.keyboard.type('admin');
      await hands.to(/password/i, 'textbox');
      await page.keyboard.type(password);
      await page.keyboard.press('Enter');
      await page.getByRole('button', { name: /Log out/ }).waitFor();
    }
    await hands.to(/^Dashboards$/);
    await page.keyboard.press('Enter');
    await page.waitForURL('**/dashboards');
    await page.getByRole('link', { name: 'Bartizan / Overview' }).or(page.getByRole('link', { name: /Overview/ })).first().waitFor(); // prettier-ignore
    await hands.to(/Overview/, 'link');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/d/**');
    await page.getByTestId('data-testid TimePicker Open Button').waitFor();
    await hands.to(/Time range/);
    await page.keyboard.press('Enter');
    await page.getByText('Last 15 minutes', { exact: true }).waitFor();
    await hands.to(/quick ranges/i, 'textbox');
    await page.keyboard.type('Last 15 minutes');
    await hands.to(/Last 15 minutes/);
    await page.keyboard.press('Space');
    await page.waitForURL(/from=now-15m/);
    await shoot(page, 'keyboard-dashboard');
    await hands.to(/^Alerts$/, 'link');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/alerts**');
    await page.getByText('NobodyTouchedTheMouse').first().waitFor();
    await hands.to(/^Silence(?!s)/);
    await page.keyboard.press('Enter');
    await page.waitForURL('**/silences/new**');
    await page.locator('#comment').waitFor();
    await hands.to(/^Who silences/, 'textbox');
    await page.keyboard.press('Control+A');
    await page.keyboard.type('somebody');
    await hands.to(/^Why/, 'textbox');
    await page.keyboard.type('typed');
    await hands.to(/^(Create silence|Silence)$/, 'button');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/silences');
    await page.getByRole('row', { name: /typed/ }).first().waitFor();
    await shoot(page, 'keyboard-silence');
    problems.push(...(await accessibilityProblems(page)).map((problem) => `silences: ${problem}`));
    await page.context().close();
    return problems;
  } finally {
    await server.stop();
  }
}

/** Something to be silenced. */
async function fire(url) {
  const program = await request.newContext();
  const alerts = [{ labels: { alertname: 'NobodyTouchedTheMouse', severity: 'warning' } }];
  const answer = await program.post(`${url}/api/v2/alerts`, { data: alerts });
  await program.dispose();
  assert.ok(answer.ok(), `alerts are taken: ${answer.status()}`);
}

class Keyboard {
  constructor(page) {
    this.page = page;
  }

  /** Goes on until what is named so has the focus; where it is must be seen. */
  async to(name, role) {
    for (let step = 0; step < STEPS_MAX; step++) {
      // A page may have put the focus where it is wanted.
      if (step > 0) await this.page.keyboard.press('Tab');
      const { text, kind, isSeen } = await this.page.evaluate(focused);
      if (!name.test(text) || (role && kind !== role)) continue;
      assert.ok(isSeen, `where the focus is can be seen: ${text}`);
      return;
    }
    throw new Error(`no key leads to ${name}`);
  }
}

function focused() {
  const element = document.activeElement;
  const labelled = (element.getAttribute('aria-labelledby') ?? '')
    .split(' ')
    .map((id) => document.getElementById(id)?.textContent ?? '');
  const labels = [...(element.labels ?? [])].map(({ textContent }) => textContent);
  const text = [
    element.getAttribute('aria-label'),
    ...labelled,
    ...labels,
    element.placeholder,
    element.textContent,
  ]
    .find((each) => each?.trim())
    ?.trim();
  const kinds = { A: 'link', BUTTON: 'button', INPUT: 'textbox', TEXTAREA: 'textbox' };
  const { outlineStyle, outlineWidth, boxShadow } = window.getComputedStyle(element);
  // Radio buttons of lists lie over what shows them.
  const isRadio = element.type === 'radio' || element.type === 'checkbox';
  const isSeen = isRadio || (outlineStyle !== 'none' && outlineWidth !== '0px') || boxShadow !== 'none';
  return {
    text: text ?? element.id ?? '',
    kind: element.getAttribute('role') ?? kinds[element.tagName] ?? '',
    isSeen: isSeen || element.tagName === 'INPUT',
  };
}
