import { css } from '@emotion/css';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { json } from '@codemirror/lang-json';
import { bracketMatching, foldGutter, foldKeymap, syntaxHighlighting } from '@codemirror/language';
import { lintGutter, linter, type Diagnostic } from '@codemirror/lint';
import { highlightSelectionMatches, search, searchKeymap } from '@codemirror/search';
import { EditorState } from '@codemirror/state';
import { EditorView, keymap, lineNumbers } from '@codemirror/view';
import { useTheme2 } from '@grafana/ui';
import { useEffect, useRef } from 'react';
import { editorTheme, highlightStyle } from '~/explore/editor/theme';

interface Props {
  value: string;
  onChange?: (value: string) => void;
  label: string;
  isReadOnly?: boolean;
  /** What is wrong, and where. */
  check?: (text: string) => Diagnostic[];
  height?: string;
}

/** An editor of JSON: folded, searched with Ctrl and F, and checked as it is written. */
export function JsonEditor({ value, onChange, label, isReadOnly = false, check, height = '60vh' }: Props) {
  const parent = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(undefined);
  const theme = useTheme2();
  // The editor lives on while these change.
  const latest = useRef({ onChange, check, value });
  latest.current = { onChange, check, value };

  useEffect(() => {
    if (!parent.current) return undefined;
    const created = new EditorView({
      parent: parent.current,
      state: EditorState.create({
        doc: latest.current.value,
        extensions: [
          lineNumbers(),
          foldGutter(),
          history(),
          bracketMatching(),
          search(),
          highlightSelectionMatches(),
          keymap.of([...defaultKeymap, ...historyKeymap, ...foldKeymap, ...searchKeymap]),
          json(),
          syntaxHighlighting(highlightStyle(theme)),
          editorTheme(theme),
          EditorState.readOnly.of(isReadOnly),
          EditorView.contentAttributes.of({ 'aria-label': label }),
          EditorView.theme({
            '&': { height, maxHeight: height },
            '.cm-scroller': { overflow: 'auto' },
            '.cm-gutters': { background: 'transparent', border: 0, color: theme.colors.text.disabled },
          }),
          ...(isReadOnly ? [] : [lintGutter()]),
          linter((shown) => latest.current.check?.(shown.state.doc.toString()) ?? []),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) latest.current.onChange?.(update.state.doc.toString());
          }),
        ],
      }),
    });
    // What scrolls is reached by the keyboard.
    created.scrollDOM.tabIndex = 0;
    view.current = created;
    return () => created.destroy();
  }, [theme, label, isReadOnly, height]);

  useEffect(() => {
    const current = view.current;
    if (!current || current.state.doc.toString() === value) return;
    current.dispatch({ changes: { from: 0, to: current.state.doc.length, insert: value } });
  }, [value]);

  return <div ref={parent} className={STYLE} />;
}

const STYLE = css({ minWidth: 0 });
