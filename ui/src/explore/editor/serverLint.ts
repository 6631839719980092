import { linter, type Diagnostic } from '@codemirror/lint';
import type { Extension } from '@codemirror/state';
import { ApiError } from '~/api/http';

/** How long nothing is typed before the server is asked what it makes of the query. */
const DELAY_MS = 500;

/** Marks what the server cannot read, at its place. `check` fails with what the server says. */
export function serverLint(check: (query: string) => Promise<unknown>): Extension {
  return linter(
    async (view): Promise<Diagnostic[]> => {
      const text = view.state.doc.toString();
      if (!text.trim()) return [];
      try {
        await check(text);
        return [];
      } catch (error) {
        // Only what the query is to blame for; a server that cannot be reached says nothing about it.
        if (!(error instanceof ApiError) || error.status < 400 || error.status >= 500) return [];
        if (error.status === 404) return [];
        return [diagnostic(text, error.message)];
      }
    },
    { delay: DELAY_MS },
  );
}

/** `1:5: parse error: ...` of PromQL, and `parse error at line 1, col 5: ...` of LogQL. */
const PLACES = [/(\d+):(\d+): (?:parse error: )?(.*)$/s, /parse error at line (\d+), col (\d+): (.*)$/s];

/** Variables stand for what a server would not read. */
export const withoutVariables = (query: string) =>
  query.replace(/\$__(?:rate_interval|interval|range|auto)\b|\$\{__\w+\}/g, (name) =>
    // As long as the name, so that places stay what they are.
    '1s'.padStart(name.length, '0'),
  );

export function diagnostic(text: string, message: string): Diagnostic {
  const place = PLACES.map((pattern) => pattern.exec(message)).find(Boolean);
  const at = place ? offset(text, Number(place[1]), Number(place[2])) : 0;
  // At its end a query lacks something: its last character is marked.
  const from = Math.max(0, Math.min(at, text.trimEnd().length - 1));
  const word = /^(?:\w+|.)/s.exec(text.slice(from))?.[0] ?? '';
  const to = place ? Math.min(text.length, from + Math.max(1, word.length)) : text.length;
  return { from, to, severity: 'error', message: place?.[3] ?? message };
}

/** Lines and columns count from 1; servers say line 0 where they mean the first. */
function offset(text: string, line: number, column: number): number {
  const before = text.split('\n').slice(0, Math.max(0, line - 1));
  return before.reduce((sum, each) => sum + each.length + 1, 0) + Math.max(0, column - 1);
}
