// What is measured in the browser, each with how it is done.
import { GRAPH, SERIES_OF_GRAPH } from './data.mjs';

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

/** Whether so many panels have drawn their graphs. */
const haveDrawn = (panels) =>
  new Function(
    `return [...document.querySelectorAll('[data-viz-panel-key]')].filter((panel) => panel.querySelector('.u-over')).length >= ${panels}`,
  );

/**
 * From the address of a dashboard until each of its panels has drawn its graph: in a browser that was here before, and in an
 * empty one.
 */
export async function dashboardPainted(browser, base, panels) {
  const viewport = { width: 1600, height: 1100 };
  const known = await browser.newContext({ baseURL: base, viewport });
  const [warm, cold] = [[], []];
  for (let round = 0; round < 6; round++) {
    const page = await known.newPage();
    const ms = await untilThere(page, '/d/bench', haveDrawn(panels));
    // The first fills the browser.
    if (round > 0) warm.push(ms);
    await page.close();
    const { page: other, close } = await coldPage(browser, base, viewport);
    if (round > 0) cold.push(await untilThere(other, '/d/bench', haveDrawn(panels)));
    await close();
  }
  await known.close();
  return { ms: median(warm), worstMs: Math.max(...warm), coldMs: median(cold) };
}

/** A graph of many series is drawn anew: as its place grows or shrinks, and as one of the series is hidden or shown. */
export async function redraw(browser, base) {
  const { page, close } = await coldPage(browser, base, { width: 1900, height: 1000 });
  // At the width of the graph a point stands for a minute.
  const address = new URLSearchParams({ q: GRAPH, from: 'now-25h', to: 'now', v: 'graph' });
  await page.goto(`/explore?${address}`);
  await page.locator('.u-over').waitFor();
  await page.waitForLoadState('networkidle');
  await page.waitForTimeout(1000);
  const names = page.getByRole('button', { name: /^bench_load/ });
  const series = await names.count();
  if (series !== SERIES_OF_GRAPH) throw new Error(`${series} series are there, not ${SERIES_OF_GRAPH}`);
  const [resized, hidden] = [[], []];
  for (let round = 0; round < 12; round++) {
    resized.push(await page.evaluate(resize, 1400 + round * 8));
    await page.waitForTimeout(150);
  }
  for (let round = 0; round < 12; round++) {
    hidden.push(await names.nth(round % 6).evaluate(click));
    await page.waitForTimeout(150);
  }
  await close();
  return { ms: median(resized), worstMs: Math.max(...resized), hideMs: median(hidden) };
}

/** Milliseconds from the change of a width until the graph has been drawn in it. */
function resize(width) {
  return new Promise((resolve) => {
    const canvas = document.querySelector('.uplot canvas');
    const before = canvas.width;
    const place = document.querySelector('[aria-label="Metrics"]');
    const began = performance.now();
    place.style.width = `${width}px`;
    const look = () => {
      if (document.querySelector('.uplot canvas').width === before) return requestAnimationFrame(look);
      // After the frame in which it is painted.
      return setTimeout(() => resolve(performance.now() - began));
    };
    requestAnimationFrame(look);
  });
}

function click(button) {
  return new Promise((resolve) => {
    const began = performance.now();
    button.click();
    requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - began)));
  });
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
