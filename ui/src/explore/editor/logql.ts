import { autocompletion } from '@codemirror/autocomplete';
import { LRLanguage, LanguageSupport } from '@codemirror/language';
import type { Extension } from '@codemirror/state';
import { hoverTooltip } from '@codemirror/view';
import { parser } from '@grafana/lezer-logql';
import { styleTags, tags } from '@lezer/highlight';
import type { LogRange, LokiClient } from '~/api/loki';
import { completeLogql } from './logqlCompletion';
import { HELP } from './logqlWords';
import { serverLint, withoutVariables } from './serverLint';

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

/** LogQL with completion of labels, their values, stages, functions and parsed fields; what the server cannot read is marked. */
export function logql(client: LokiClient, range: () => LogRange): Extension {
  return [
    new LanguageSupport(language),
    autocompletion({ override: [(context) => completeLogql(context, client, range())] }),
    serverLint((query) => client.check(withoutVariables(query))),
    wordHelp,
  ];
}

/** Help for the function or stage under the pointer. */
const wordHelp = hoverTooltip((view, position) => {
  const word = view.state.wordAt(position);
  const name = word && view.state.sliceDoc(word.from, word.to);
  const help = name && HELP.get(name);
  if (!word || !help) return null;
  return {
    pos: word.from,
    end: word.to,
    create() {
      const dom = document.createElement('div');
      dom.style.cssText = 'max-width: 420px; padding: 8px';
      dom.textContent = `${name}: ${help}`;
      return { dom };
    },
  };
});
