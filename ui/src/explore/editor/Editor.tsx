import { css } from '@emotion/css';
import { closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { bracketMatching, syntaxHighlighting } from '@codemirror/language';
import { lintKeymap } from '@codemirror/lint';
import { EditorState, Prec, type Extension } from '@codemirror/state';
import { EditorView, keymap, placeholder as showPlaceholder } from '@codemirror/view';
import { useTheme2 } from '@grafana/ui';
import { useEffect, useRef } from 'react';
import { editorTheme, highlightStyle } from './theme';

interface Props {
  value: string;
  onChange: (value: string) => void;
  /** Shift and Enter, or Ctrl and Enter. */
  onRun: () => void;
  /** The language: highlighting, completion, lint. */
  language: Extension;
  placeholder: string;
  label: string;
}

/** An editor of queries of a few lines. */
export function Editor({ value, onChange, onRun, language, placeholder, label }: Props) {
  const parent = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(undefined);
  const theme = useTheme2();
  // The editor lives on while these change.
  const callbacks = useRef({ onChange, onRun });
  callbacks.current = { onChange, onRun };
  const initial = useRef(value);

  useEffect(() => {
    if (!parent.current) return undefined;
    const run = () => {
      callbacks.current.onRun();
      return true;
    };
    const created = new EditorView({
      parent: parent.current,
      state: EditorState.create({
        doc: initial.current,
        extensions: [
          Prec.highest(
            keymap.of([
              { key: 'Shift-Enter', run },
              { key: 'Mod-Enter', run },
            ]),
          ),
          history(),
          bracketMatching(),
          closeBrackets(),
          keymap.of([
            ...closeBracketsKeymap,
            ...defaultKeymap,
            ...historyKeymap,
            ...completionKeymap,
            ...lintKeymap,
          ]),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ 'aria-label': label }),
          showPlaceholder(placeholder),
          syntaxHighlighting(highlightStyle(theme)),
          editorTheme(theme),
          language,
          EditorView.updateListener.of((update) => {
            if (!update.docChanged) return;
            initial.current = update.state.doc.toString();
            callbacks.current.onChange(initial.current);
          }),
        ],
      }),
    });
    view.current = created;
    return () => created.destroy();
  }, [language, theme, placeholder, label]);

  // A value that comes from elsewhere, such as a link, replaces what is there.
  useEffect(() => {
    const current = view.current;
    if (!current || current.state.doc.toString() === value) return;
    current.dispatch({ changes: { from: 0, to: current.state.doc.length, insert: value } });
  }, [value]);

  return <div ref={parent} className={STYLE} />;
}

const STYLE = css({ flex: '1 1 auto', minWidth: 0 });
