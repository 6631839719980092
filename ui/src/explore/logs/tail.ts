/** Lines as they come in, and what is kept of them. */
import type { TailMessage } from '~/api/loki';
import { logFrame } from '~/datasources/loki/frames';
import { readLines, sorted, type LogLine } from '~/panels/logs/lines';

/** More lines than these are let go, oldest first: a page that is left open must not grow for ever. */
export const KEPT_MAX = 2000;

export interface Kept {
  /** Oldest first. */
  lines: LogLine[];
  /** Lines that came and were let go. */
  lost: number;
  /** Lines the server left out, as they came too fast. */
  dropped: number;
  /** How many came in all. */
  came: number;
}

export const NOTHING: Kept = { lines: [], lost: 0, dropped: 0, came: 0 };

/** Adds what a message tells; ids stay different, as the same line may come twice. */
export function withMessage(kept: Kept, message: TailMessage): Kept {
  const frame = logFrame(message.streams ?? [], 'A', '');
  const found = sorted(readLines([frame]), 'Ascending').map((line, index) => ({
    ...line,
    id: `${kept.came + index}`,
  }));
  const all = [...kept.lines, ...found];
  const over = Math.max(0, all.length - KEPT_MAX);
  return {
    lines: over ? all.slice(over) : all,
    lost: kept.lost + over,
    dropped: kept.dropped + (message.dropped_entries?.length ?? 0),
    came: kept.came + found.length,
  };
}

export function readMessage(text: unknown): TailMessage | undefined {
  try {
    const parsed: unknown = JSON.parse(String(text));
    return typeof parsed === 'object' && parsed !== null ? (parsed as TailMessage) : undefined;
  } catch {
    return undefined;
  }
}
