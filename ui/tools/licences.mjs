// Checks what every installed package declares against the permissive licences that may be shipped.
import { readFileSync } from 'node:fs';

const ALLOWED = new Set([
  'MIT',
  'MIT-0',
  'ISC',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
  'BlueOak-1.0.0',
  'Unlicense',
  'CC0-1.0',
  'CC-BY-4.0',
  'CC-BY-3.0',
  'Python-2.0',
  'Zlib',
  'WTFPL',
  'OFL-1.1',
  'Apache 2.0',
  'MIT AND ISC',
]);
/** Weak copyleft: tools that only build, or a choice between licences of which one is permissive. */
const EXCEPTIONS = new Map([
  ['lightningcss', 'MPL-2.0, used to build only'],
  ['axe-core', 'MPL-2.0, used to test only'],
]);

/** What packages say only in a file: read there. */
const IN_A_FILE = new Map([
  ['fast-shallow-equal', 'Unlicense'],
  ['react-universal-interface', 'Unlicense'],
  ['get-document', 'MIT'],
]);

const permitted = (licence) =>
  licence
    .replace(/[()]/g, '')
    .split(/ OR /)
    .some((choice) => ALLOWED.has(choice) || choice.split(/ AND /).every((part) => ALLOWED.has(part.trim())));

const { packages } = JSON.parse(readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8'));
let problems = 0;
let count = 0;
for (const [path, { license, dev, optional }] of Object.entries(packages)) {
  if (!path) continue;
  count += 1;
  const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
  const declared = license ?? IN_A_FILE.get(name);
  const excepted =
    [...EXCEPTIONS.keys()].some((tool) => name === tool || name.startsWith(`${tool}-`)) && (dev || optional);
  if (excepted || (declared && permitted(declared))) continue;
  console.error(`${name}: licence ${declared ?? 'not declared'}`);
  problems += 1;
}
console.log(`licences: ${count} packages, ${problems} problems`);
process.exit(problems ? 1 : 0);
