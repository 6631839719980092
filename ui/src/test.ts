/** What tests share. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

const FOLDER =
  process.env.BARTIZAN_CONFORMANCE ?? path.resolve(import.meta.dirname, '../../../shared/conformance');

export interface Named {
  name: string;
  json: Record<string, unknown>;
}

/**
 * The dashboards of `conformance/dashboards`. Where they are absent there are none, which is said plainly; in CI it is
 * a failure.
 */
export function conformanceDashboards(): Named[] {
  const folder = path.join(FOLDER, 'dashboards/kube-prometheus');
  if (!existsSync(folder)) {
    if (process.env.CI === 'true') throw new Error(`there are no conformance dashboards in ${folder}`);
    console.error(`skipped: conformance dashboards (there is no ${folder})`);
    return [];
  }
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
  return files.map((name) => ({
    name,
    json: JSON.parse(readFileSync(path.join(folder, name), 'utf8')) as Record<string, unknown>,
  }));
}

/** The dashboards that come with the program. */
export function shippedDashboards(): Named[] {
  const folder = path.resolve(import.meta.dirname, '../../dashboards/json');
  const files = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : [];
  return files
    .filter((name) => name.endsWith('.json'))
    .map((name) => ({
      name,
      json: JSON.parse(readFileSync(path.join(folder, name), 'utf8')) as Record<string, unknown>,
    }));
}
