// What is measured in the browser, each with how it is done.
import { SERIES_OF_GRAPH } from './data.mjs';

export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
};
const percentile = (values, share) => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
};

/** A page of a browser that has nothing kept, with what it loads counted. */
async function coldPage(browser, base, viewport = { width: 1440, height: 900 }) {
  const context = await browser.newContext({ baseURL: base, viewport });
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  const loaded = { bytes: 0, requests: 0 };
  const isOwn = new Set();
  await session.send('Network.enable');
  session.on('Network.responseReceived', ({ requestId, response }) => {
    // What the program is, without what it asks the APIs.
    if (!/\/(api|loki)\//.test(new URL(response.url).pathname)) isOwn.add(requestId);
  });
  session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    if (!isOwn.has(requestId)) return;
    loaded.bytes += encodedDataLength;
    loaded.requests += 1;
  });
  return { page, loaded, close: () => context.close() };
}

/** Notes when what `isThere` looks for is there first, and when the last task before that or soon after it ended. */
async function untilThere(page, address, isThere) {
  await page.addInitScript((source) => {
    const test = new Function(`return ${source}`)();
    window.longTasks = [];
    new PerformanceObserver((list) => window.longTasks.push(...list.getEntries())).observe({
      type: 'longtask',
      buffered: true,
    });
    const look = () => {
      if (!document.body || !test()) return requestAnimationFrame(look);
      // Painted with the frame after.
      return requestAnimationFrame(() => setTimeout(() => (window.thereMs = performance.now())));
    };
    requestAnimationFrame(look);
  }, isThere.toString());
  await page.goto(address);
  await page.waitForFunction(() => window.thereMs !== undefined, undefined, { timeout: 60_000 });
  await page.waitForTimeout(500);
  return page.evaluate(() => {
    const within = window.longTasks.filter(({ startTime }) => startTime < window.thereMs + 200);
    const busyUntil = Math.max(0, ...within.map(({ startTime, duration }) => startTime + duration));
    return Math.max(window.thereMs, busyUntil);
  });
}

/** From an empty browser until the numbers of the page at the front are there and nothing keeps it from answering. */
export async function homeInteractive(browser, base) {
  const times = [];
  let size;
  for (let round = 0; round < 5; round++) {
    const { page, loaded, close } = await coldPage(browser, base);
    times.push(
      await untilThere(
        page,
        '/',
        () => document.querySelector('main h1') && /Series\s*[\d,]+/.test(document.body.innerText),
      ),
    );
    size = { ...loaded };
    await close();
  }
  return { ms: median(times), worstMs: Math.max(...times), ...size };
}

/** What a browser that has nothing kept loads for a page until it rests. */
export async function firstLoad(browser, base, address) {
  const { page, loaded, close } = await coldPage(browser, base);
  await page.goto(address);
  await page.waitForLoadState('networkidle');
  await page.waitForTimeout(1000);
  await close();
  return loaded;
}

/** From an empty browser until each of the panels has drawn its graph. */
export async function dashboardPainted(browser, base, panels) {
  const times = [];
  for (let round = 0; round < 5; round++) {
    const { page, close } = await coldPage(browser, base, { width: 1600, height: 1100 });
    const ms = await untilThere(
      page,
      '/d/bench',
      new Function(
        `return [...document.querySelectorAll('[data-viz-panel-key]')].filter((panel) => panel.querySelector('.u-over') && panel.querySelector('.u-legend, [class*="legend"], button')).length >= ${panels}`,
      ),
    );
    times.push(ms);
    await close();
  }
  return { ms: median(times), worstMs: Math.max(...times) };
}

/** A graph of many series is drawn anew as one of them is hidden and shown: from the click to the paint. */
export async function redraw(browser, base) {
  const { page, close } = await coldPage(browser, base, { width: 1900, height: 1000 });
  const expr = `topk(${SERIES_OF_GRAPH}, bench_load)`;
  await page.goto(`/explore?${new URLSearchParams({ q: expr, from: 'now-24h', to: 'now', v: 'graph' })}`);
  await page.locator('.u-over').waitFor();
  await page.waitForLoadState('networkidle');
  await page.waitForTimeout(1000);
  const points = await page.evaluate(() => document.querySelectorAll('.u-over').length);
  if (points !== 1) throw new Error(`${points} graphs are there, not one`);
  const times = [];
  const names = page.getByRole('button', { name: /^bench_load/ });
  const count = Math.min(10, await names.count());
  for (let round = 0; round < count; round++) {
    times.push(
      await names.nth(round).evaluate(
        (button) =>
          new Promise((resolve) => {
            const began = performance.now();
            button.click();
            // After the frame in which it is drawn.
            requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - began)));
          }),
      ),
    );
    await page.waitForTimeout(150);
  }
  await close();
  return { ms: median(times), worstMs: Math.max(...times), count };
}

/** Lines are scrolled through steadily; each frame is timed. */
export async function scroll(browser, base, lines, wrap) {
  const { page, close } = await coldPage(browser, base);
  const address = new URLSearchParams({
    ds: 'bartizan-logs',
    q: '{service_name="bench"}',
    from: 'now-1h',
    to: 'now',
    v: ['limit:5000', ...(wrap ? [] : ['nowrap'])].join(','),
  });
  await page.goto(`/explore?${address}`);
  await page.locator('[role=listitem]').first().waitFor({ timeout: 60_000 });
  await page.waitForTimeout(1500);
  const found = await page.locator('[role=listitem]').first().getAttribute('aria-setsize');
  if (Number(found) < lines) throw new Error(`${found} lines are there, not ${lines}`);
  const frames = await page.evaluate(
    () =>
      new Promise((resolve) => {
        const scroller = document.querySelector('[aria-label="Log lines"]');
        const times = [];
        let before = performance.now();
        const began = before;
        const step = (now) => {
          times.push(now - before);
          before = now;
          scroller.scrollTop += 90;
          if (now - began < 5000) requestAnimationFrame(step);
          else resolve(times.slice(5));
        };
        requestAnimationFrame(step);
      }),
  );
  const drawn = await page.locator('[role=listitem]').count();
  await close();
  const total = frames.reduce((sum, each) => sum + each, 0);
  return {
    fps: (1000 * frames.length) / total,
    p95Ms: percentile(frames, 0.95),
    worstMs: Math.max(...frames),
    drawn,
  };
}
