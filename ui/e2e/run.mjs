// Journeys through the screens with a real server and a real browser: `npm run e2e [name]`.
import { openBrowser } from './browser.mjs';
import { arranging } from './journeys/arranging.mjs';
import { dashboards } from './journeys/dashboards.mjs';
import { looking } from './journeys/looking.mjs';
import { operations } from './journeys/operations.mjs';
import { editing } from './journeys/editing.mjs';
import { explore } from './journeys/explore.mjs';
import { keyboard } from './journeys/keyboard.mjs';
import { pages } from './journeys/pages.mjs';
import { queries } from './journeys/queries.mjs';

const JOURNEYS = { pages, explore, queries, keyboard, looking, editing, arranging, operations, dashboards };
const [asked] = process.argv.slice(2);

const browser = await openBrowser();
let failures = 0;
for (const [name, journey] of Object.entries(JOURNEYS)) {
  if (asked && asked !== name) continue;
  try {
    const problems = await journey(browser);
    for (const problem of problems) console.error(`${name}: ${problem}`);
    failures += problems.length;
    console.log(`${name}: ${problems.length ? `${problems.length} problems` : 'well'}`);
  } catch (error) {
    failures += 1;
    console.error(`${name}: ${error.stack}`);
  }
}
await browser.close();
process.exit(failures ? 1 : 0);
