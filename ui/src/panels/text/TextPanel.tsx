import { renderTextPanelMarkdown, textUtil, type PanelModel, type PanelProps } from '@grafana/data';
import { useMemo } from 'react';

type Mode = 'markdown' | 'html' | 'code';

interface TextOptions {
  mode: Mode;
  content: string;
}

export const TEXT_OPTIONS: TextOptions = { mode: 'markdown', content: '' };

/** Text written by whoever may edit the dashboard: nothing in it may run in the browser of who looks at it. */
export function TextPanel({ options, replaceVariables }: PanelProps<TextOptions>) {
  const { mode, content } = options;
  const html = useMemo(() => {
    if (mode === 'code') return '';
    if (mode === 'html') return textUtil.sanitizeTextPanelContent(replaceVariables(content, {}, 'html'));
    return renderTextPanelMarkdown(replaceVariables(content, {}, 'text'));
  }, [mode, content, replaceVariables]);
  if (mode === 'code') {
    return (
      <pre style={{ height: '100%', overflow: 'auto' }}>
        <code>{replaceVariables(content, {}, 'text')}</code>
      </pre>
    );
  }
  return (
    <div
      className="markdown-html"
      style={{ height: '100%', overflow: 'auto' }}
      dangerouslySetInnerHTML={{ __html: textUtil.sanitizeTextPanelContent(html) }}
    />
  );
}

/** Very old ones keep text beside the options. */
export function migrateText(panel: PanelModel<TextOptions>): Partial<TextOptions> {
  const { content, mode } = panel as unknown as Partial<TextOptions>;
  const options = {
    ...(content === undefined ? {} : { content }),
    ...(mode ? { mode } : {}),
    ...panel.options,
  };
  return (options.mode as string) === 'text' ? { ...options, mode: 'code' } : options;
}
