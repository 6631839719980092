/** From a series to the logs of what it was measured on: by the labels that both have. */
import type { DataFrame, DataLink, Field } from '@grafana/data';
import { encodeParameters } from '~/api/http';
import type { LogRange, LokiClient } from '~/api/loki';
import type { Labels } from '~/api/prometheus';
import { withText } from './logs/query';
import { readExplore, refIdAt, type ExploreQuery } from './url';

export interface JumpTo {
  labels: Labels;
  from: string;
  to: string;
  /** What lines must hold, such as the id of a trace. */
  text?: string;
  /** The address of Explore that the logs are to stand beside. */
  beside?: string;
}

/** Where the way to the logs begins; the server's logs are looked through for it there. */
export function jumpHref({ labels, ...rest }: JumpTo): string {
  return `/explore/logs?${encodeParameters({ labels: JSON.stringify(labels), ...rest })}`;
}

/** The way to the logs of a series that is shown: beside it where it is Explore that shows it. */
export function besideHref(labels: Labels, text?: string): string {
  const { search, pathname } = window.location;
  // Dashboards say their time in the same way.
  const { from, to } = readExplore(new URLSearchParams(search));
  return jumpHref({
    labels,
    from,
    to,
    ...(pathname.endsWith('/explore') ? { beside: search } : {}),
    ...(text ? { text } : {}),
  });
}

/** The labels that all series have with the same value: what a panel as a whole is about. */
export function sharedLabels(frames: DataFrame[]): Labels {
  const all = frames.flatMap(({ fields }) =>
    fields.map(({ labels }) => labels).filter((labels) => labels !== undefined),
  );
  const [first = {}, ...rest] = all;
  return Object.fromEntries(
    Object.entries(first).filter(([name, value]) => rest.every((labels) => labels[name] === value)),
  );
}

/** A link of a series to its logs. */
export const logsLink: DataLink = {
  title: 'Logs of this series',
  url: '',
  onBuildUrl: ({ origin }) => besideHref((origin as Field | undefined)?.labels ?? {}),
};

export function readJump(search: URLSearchParams): JumpTo {
  const read = (name: string) => search.get(name) ?? undefined;
  const [text, beside] = [read('text'), read('beside')];
  return {
    labels: readLabels(read('labels')),
    from: read('from') ?? 'now-1h',
    to: read('to') ?? 'now',
    ...(text ? { text } : {}),
    ...(beside ? { beside } : {}),
  };
}

function readLabels(text: string | undefined): Labels {
  try {
    const entries = Object.entries(JSON.parse(text ?? '{}') as Labels);
    return Object.fromEntries(entries.filter(([, value]) => typeof value === 'string'));
  } catch {
    return {};
  }
}

/** Labels of logs that say the same as one of metrics under another name. */
const ALIASES: Record<string, string[]> = {
  job: ['service_name', 'app', 'service'],
  service: ['service_name', 'app'],
  app: ['service_name'],
  instance: ['host', 'hostname', 'node', 'node_name'],
  node: ['host', 'hostname', 'node_name'],
  host: ['hostname', 'instance'],
};

/** What says most of where a series is from comes first. */
const ORDER = [
  'cluster',
  'namespace',
  'pod',
  'container',
  'service_name',
  'app',
  'job',
  'host',
  'instance',
  'node',
];
const rank = (name: string) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);

/**
 * The query for the logs of what `labels` name: the labels that logs have with the same values, as many of them as streams have
 * at once. Nothing where they have none.
 */
export async function logsOf(
  client: Pick<LokiClient, 'labelNames' | 'labelValues' | 'series'>,
  labels: Labels,
  range: LogRange,
): Promise<string | undefined> {
  const names = new Set(await client.labelNames(range));
  const asked = Object.entries(labels)
    .filter(([name, value]) => name !== '__name__' && value !== '')
    .sort(([a], [b]) => rank(a) - rank(b));
  let matchers: string[] = [];
  for (const [name, value] of asked) {
    for (const candidate of [name, ...(ALIASES[name] ?? [])]) {
      if (!names.has(candidate)) continue;
      const found = await sameValue(client, candidate, value, range);
      const more = found && [...matchers, `${candidate}=${JSON.stringify(found)}`];
      if (!more || !(await client.series(`{${more.join(', ')}}`, range)).length) continue;
      matchers = more;
      break;
    }
  }
  return matchers.length ? `{${matchers.join(', ')}}` : undefined;
}

/** The value of a label of logs that means the same: addresses are named with and without their port. */
async function sameValue(
  client: Pick<LokiClient, 'labelValues'>,
  name: string,
  value: string,
  range: LogRange,
): Promise<string | undefined> {
  const values = await client.labelValues(name, range);
  const host = value.replace(/:\d+$/, '');
  return [value, host].find((each) => values.includes(each));
}

export const jumpQuery = (selector: string, text: string | undefined): ExploreQuery => ({
  refId: refIdAt(0),
  expr: text ? withText(selector, text) : selector,
});
