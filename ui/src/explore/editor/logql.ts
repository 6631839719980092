import {
  autocompletion,
  type Completion,
  type CompletionContext,
  type CompletionResult,
} from '@codemirror/autocomplete';
import { LRLanguage, LanguageSupport } from '@codemirror/language';
import type { Extension } from '@codemirror/state';
import { parser } from '@grafana/lezer-logql';
import { styleTags, tags } from '@lezer/highlight';
import type { LogRange, LokiClient } from '~/api/loki';

const language = LRLanguage.define({
  parser: parser.configure({
    props: [
      styleTags({
        Identifier: tags.labelName,
        String: tags.string,
        Number: tags.number,
        Duration: tags.number,
        Bytes: tags.number,
        LineComment: tags.comment,
        'Rate RateCounter CountOverTime BytesRate BytesOverTime SumOverTime AvgOverTime MaxOverTime MinOverTime':
          tags.function(tags.variableName),
        'QuantileOverTime StddevOverTime StdvarOverTime FirstOverTime LastOverTime AbsentOverTime Vector':
          tags.function(tags.variableName),
        'Sum Avg Count Max Min Stddev Stdvar Bottomk Topk Sort Sort_Desc LabelReplace': tags.function(
          tags.variableName,
        ),
        'Json Logfmt Unpack Pattern Regexp LineFormat LabelFormat Decolorize Drop Keep Unwrap By Without Offset Bool':
          tags.keyword,
        'PipeExact PipeMatch PipePattern Nre Re Eq Neq Npa Gt Gte Lt Lte And Or Unless Add Sub Mul Div Mod Pow Pipe':
          tags.operator,
      }),
    ],
  }),
});

const words = (type: string, list: string): Completion[] => list.split(' ').map((label) => ({ label, type }));

const STAGES = words(
  'keyword',
  'json logfmt pattern regexp unpack line_format label_format decolorize drop keep unwrap',
);
const FUNCTIONS = words(
  'function',
  'rate count_over_time bytes_rate bytes_over_time sum_over_time avg_over_time max_over_time min_over_time quantile_over_time ' +
    'first_over_time last_over_time stddev_over_time absent_over_time sum avg min max count topk bottomk sort sort_desc label_replace vector',
);
const RANGES = words('constant', '$__auto 1m 5m 10m 30m 1h 1d');

/** LogQL with completion of labels, their values, stages, functions and parsed fields. */
export function logql(client: LokiClient, range: () => LogRange): Extension {
  const complete = (context: CompletionContext) => completeAt(context, client, range());
  return [new LanguageSupport(language), autocompletion({ override: [complete] })];
}

async function completeAt(
  context: CompletionContext,
  client: LokiClient,
  range: LogRange,
): Promise<CompletionResult | null> {
  const before = context.state.sliceDoc(0, context.pos);
  const word = context.matchBefore(/[\w$]*/);
  const from = word?.from ?? context.pos;
  const value = /(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)$/.exec(before);
  if (value?.[1] && insideBraces(before)) {
    const values = await client.labelValues(value[1], range).catch(() => []);
    return {
      from: context.pos - (value[2]?.length ?? 0),
      options: values.map((label) => ({ label, type: 'text' })),
    };
  }
  if (insideBraces(before)) {
    const names = await client.labelNames(range).catch(() => []);
    return { from, options: names.map((label) => ({ label, type: 'property', apply: `${label}="` })) };
  }
  if (/\[[\w$]*$/.test(before)) return { from, options: RANGES };
  if (/\|\s*\w*$/.test(before))
    return { from, options: [...STAGES, ...(await fields(before, client, range))] };
  if (/\b(?:by|without)\s*\([^)]*$/.test(before)) {
    const names = await client.labelNames(range).catch(() => []);
    const all = [
      ...names.map((label) => ({ label, type: 'property' })),
      ...(await fields(before, client, range)),
    ];
    return { from, options: all };
  }
  if (!context.explicit && (word?.from === word?.to || !word)) return null;
  return { from, options: FUNCTIONS };
}

function insideBraces(before: string): boolean {
  return before.lastIndexOf('{') > before.lastIndexOf('}');
}

interface DetectedFields {
  fields?: { label: string; type: string }[];
}

/** What a parser finds in the lines of the selector before it. */
async function fields(
  before: string,
  client: LokiClient,
  { startMs, endMs }: LogRange,
): Promise<Completion[]> {
  const selector = /\{[^{}]*\}/.exec(before)?.[0];
  if (!selector) return [];
  const parameters = { query: selector, start: `${startMs}000000`, end: `${endMs}000000`, limit: 100 };
  const path = `${client.base}/loki/api/v1/detected_fields`;
  const { request } = await import('~/api/http');
  const found = await request<DetectedFields>(path, { parameters }).catch((): DetectedFields => ({}));
  return (found.fields ?? []).map(({ label, type }) => ({ label, detail: type, type: 'variable' }));
}
