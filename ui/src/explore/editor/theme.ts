import { HighlightStyle } from '@codemirror/language';
import type { Extension } from '@codemirror/state';
import { EditorView } from '@codemirror/view';
import type { GrafanaTheme2 } from '@grafana/data';
import { tags } from '@lezer/highlight';

export function highlightStyle({ visualization, colors }: GrafanaTheme2): HighlightStyle {
  const color = (name: string) => visualization.getColorByName(name);
  return HighlightStyle.define([
    { tag: tags.function(tags.variableName), color: color('blue') },
    { tag: tags.keyword, color: color('purple') },
    { tag: tags.modifier, color: color('purple') },
    { tag: tags.operatorKeyword, color: color('purple') },
    { tag: tags.string, color: color('green') },
    { tag: tags.number, color: color('orange') },
    { tag: tags.labelName, color: color('light-blue') },
    { tag: tags.operator, color: colors.text.secondary },
    { tag: tags.comment, color: colors.text.disabled, fontStyle: 'italic' },
    { tag: tags.invalid, color: colors.error.text },
  ]);
}

export function editorTheme({ colors, typography, shape, zIndex, isDark }: GrafanaTheme2): Extension {
  return EditorView.theme(
    {
      '&': {
        backgroundColor: colors.background.canvas,
        border: `1px solid ${colors.border.medium}`,
        borderRadius: shape.radius.default,
        color: colors.text.primary,
        fontSize: '14px',
      },
      '&.cm-focused': { outline: `2px solid ${colors.primary.main}` },
      '.cm-scroller': { fontFamily: typography.fontFamilyMonospace, lineHeight: '22px' },
      '.cm-content': { caretColor: colors.text.maxContrast, padding: '5px 2px' },
      '.cm-placeholder': { color: colors.text.disabled },
      '.cm-cursor': { borderLeftColor: colors.text.maxContrast },
      '&.cm-focused .cm-selectionBackground, .cm-selectionBackground': {
        backgroundColor: colors.action.selected,
      },
      '.cm-matchingBracket': { backgroundColor: colors.action.selected },
      '.cm-tooltip': {
        backgroundColor: colors.background.elevated,
        border: `1px solid ${colors.border.weak}`,
        color: colors.text.primary,
        zIndex: zIndex.dropdown,
      },
      '.cm-tooltip-autocomplete > ul': { fontFamily: typography.fontFamilyMonospace, maxHeight: '20em' },
      '.cm-tooltip-autocomplete > ul > li[aria-selected]': {
        backgroundColor: colors.primary.main,
        color: colors.primary.contrastText,
      },
      '.cm-completionDetail': { color: colors.text.secondary },
      '.cm-completionInfo': { maxWidth: '400px', padding: '8px' },
    },
    { dark: isDark },
  );
}
