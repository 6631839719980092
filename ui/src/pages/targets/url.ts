import { encodeParameters } from '~/api/http';
import type { Labels } from '~/api/prometheus';

/** The page that tells what relabelling does with the labels of a target. */
export const relabelHref = (pool: string, labels: Labels) =>
  `/targets/relabel?${encodeParameters({ pool, labels: JSON.stringify(labels) })}`;

export function readLabels(text: string): Labels {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return {};
    return Object.fromEntries(Object.entries(parsed).map(([name, value]) => [name, String(value)]));
  } catch {
    return {};
  }
}

/** Labels as people write them: one `name=value` a line. */
export const writeLines = (labels: Labels) =>
  Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join('\n');

/** What such lines say; a line without `=` is no label yet. */
export function readLines(text: string): Labels {
  const labels: Labels = {};
  for (const line of text.split('\n')) {
    const at = line.indexOf('=');
    if (at > 0) labels[line.slice(0, at).trim()] = line.slice(at + 1).trim();
  }
  return labels;
}
