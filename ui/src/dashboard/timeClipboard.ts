/** Times taken from one dashboard to another, in the form in which Grafana's own pickers copy them. */
import { dateMath, rangeUtil, type RawTimeRange } from '@grafana/data';
import type { SceneTimeRangeLike } from '@grafana/scenes';

export const writeTime = ({ from, to }: { from: string; to: string }) => JSON.stringify({ from, to });

/** What was copied, if it is a time. */
export function readTime(text: string): RawTimeRange | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { from, to } = (parsed ?? {}) as Record<string, unknown>;
  if (typeof from !== 'string' || typeof to !== 'string') return undefined;
  return dateMath.isValid(from) && dateMath.isValid(to) ? { from, to } : undefined;
}

/** A browser that lets nobody at its clipboard leaves things as they are. */
export async function copyTime({ state }: SceneTimeRangeLike): Promise<void> {
  await navigator.clipboard?.writeText(writeTime(state)).catch(() => undefined);
}

export async function pasteTime(range: SceneTimeRangeLike): Promise<void> {
  const text = await navigator.clipboard?.readText().catch(() => '');
  const found = readTime(text ?? '');
  if (found) range.onTimeRangeChange(rangeUtil.convertRawToRange(found, range.getTimeZone()));
}
