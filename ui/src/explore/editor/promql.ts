import { autocompletion } from '@codemirror/autocomplete';
import type { Extension } from '@codemirror/state';
import { hoverTooltip } from '@codemirror/view';
import { PromQLExtension, type PrometheusClient as CompletionClient } from '@prometheus-io/codemirror-promql';
import {
  aggregateOpTerms,
  functionIdentifierTerms,
} from '@prometheus-io/codemirror-promql/dist/esm/complete/promql.terms';
import { EqlRegex, EqlSingle, Neq, NeqRegex } from '@prometheus-io/lezer-promql';
import type { Metadata, PrometheusClient } from '~/api/prometheus';
import { serverLint, withoutVariables } from './serverLint';

/** What completion looks back over: names that are gone longer are of no help. */
const WINDOW_S = 12 * 3600;

function completions(client: PrometheusClient): CompletionClient {
  const window = () => ({
    start: Math.floor(Date.now() / 1000) - WINDOW_S,
    end: Math.floor(Date.now() / 1000),
  });
  let metadata: Promise<Record<string, Metadata[]>> | undefined;
  const none = () => [];
  return {
    metricNames: () => client.labelValues('__name__', { ...window() }).catch(none),
    labelNames: (metric) => client.labelNames({ ...window(), 'match[]': metric }).catch(none),
    labelValues: (label, metric, matchers) => {
      const conditions = (matchers ?? []).filter(({ name, value }) => name !== label && value !== '');
      const written = conditions.map(
        ({ name, type, value }) => `${name}${OPERATORS.get(type) ?? '='}${JSON.stringify(value)}`,
      );
      const selector = metric || written.length ? `${metric ?? ''}{${written.join(',')}}` : undefined;
      return client.labelValues(label, { ...window(), 'match[]': selector }).catch(none);
    },
    metricMetadata: () => (metadata ??= client.metadata().catch(() => ({}))),
    series: (metric) => client.series([metric], window(), 1000).catch(none),
    flags: () => client.get<Record<string, string>>('status/flags', {}).catch(() => ({})),
    destroy: () => undefined,
  } as CompletionClient;
}

/** Operators as the parser numbers them. */
const OPERATORS = new Map<number, string>([
  [EqlSingle, '='],
  [Neq, '!='],
  [EqlRegex, '=~'],
  [NeqRegex, '!~'],
]);

/** PromQL with completion, help for what is under the pointer, and what the server cannot read marked. */
export function promql(client: PrometheusClient): Extension {
  const remote = completions(client);
  // The server's own reading is what counts; the package's would refuse what it does not know, such as variables.
  const extension = new PromQLExtension()
    .activateCompletion(true)
    .activateLinter(false)
    .setComplete({ remote });
  const check = (query: string) => client.parse(withoutVariables(query));
  return [autocompletion(), extension.asExtension(), serverLint(check), metricHelp(client)];
}

function metricHelp(client: PrometheusClient): Extension {
  return hoverTooltip(async (view, position) => {
    const word = view.state.wordAt(position);
    if (!word) return null;
    const name = view.state.sliceDoc(word.from, word.to);
    if (!/^[a-zA-Z_:][\w:]*$/.test(name)) return null;
    const told = functionHelp(name) ?? (await aboutMetric(client, name));
    if (!told) return null;
    return {
      pos: word.from,
      end: word.to,
      create() {
        const dom = document.createElement('div');
        dom.style.cssText = 'max-width: 420px; padding: 8px';
        dom.textContent = told;
        return { dom };
      },
    };
  });
}

/** What completion says of functions and aggregations, said of those that are there already. */
function functionHelp(name: string): string | undefined {
  const term = [...functionIdentifierTerms, ...aggregateOpTerms].find(({ label }) => label === name);
  return term && `${name} (${term.detail ?? ''}): ${term.info ?? ''}`;
}

/** Suffixes of what histograms and summaries consist of, whose help stands at the name without. */
const PART = /_(?:bucket|count|sum|total|created)$/;

async function aboutMetric(client: PrometheusClient, name: string): Promise<string | undefined> {
  for (const family of [name, name.replace(PART, '')]) {
    const found = await client.metadata(family).catch((): Record<string, Metadata[]> => ({}));
    const about = found[family]?.[0];
    if (about) return `${name} (${about.type}${about.unit ? `, ${about.unit}` : ''}): ${about.help}`;
  }
  return undefined;
}
