import { useLayoutEffect, useMemo, useReducer, useRef, type RefObject } from 'react';
import type { LogLine } from './lines';

/** A line that was never in sight is taken to be this high, in pixels. */
const HEIGHT_GUESS = 20;
/** Lines beyond the edges that are drawn already. */
const MARGIN = 20;

interface Window {
  first: number;
  last: number;
  /** Pixels of the lines that are left out above and below. */
  before: number;
  after: number;
  measure: (id: string, height: number) => void;
}

/** Which lines of a long list are in sight of `scroller`. Heights are those that were measured. */
export function useWindow(scroller: RefObject<HTMLElement | null>, lines: LogLine[]): Window {
  const heights = useRef(new Map<string, number>());
  const [revision, bump] = useReducer((count: number) => count + 1, 0);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return undefined;
    element.addEventListener('scroll', bump, { passive: true });
    const observer = new ResizeObserver(bump);
    observer.observe(element);
    return () => {
      element.removeEventListener('scroll', bump);
      observer.disconnect();
    };
  }, [scroller]);

  const tops = useMemo(() => {
    const sums = new Float64Array(lines.length + 1);
    lines.forEach(({ id }, index) => {
      sums[index + 1] = (sums[index] ?? 0) + (heights.current.get(id) ?? HEIGHT_GUESS);
    });
    return sums;
    // A new revision may come with new heights.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [lines, revision]);

  const top = scroller.current?.scrollTop ?? 0;
  const height = scroller.current?.clientHeight || 600;
  const first = Math.max(0, search(tops, top) - MARGIN);
  const last = Math.min(lines.length, search(tops, top + height) + MARGIN);
  const total = tops[lines.length] ?? 0;
  return {
    first,
    last,
    before: tops[first] ?? 0,
    after: total - (tops[last] ?? total),
    measure(id, measured) {
      if (heights.current.get(id) === measured) return;
      const known = heights.current.get(id) ?? HEIGHT_GUESS;
      heights.current.set(id, measured);
      if (known !== measured) bump();
    },
  };
}

/** The last line that begins at or above `at`. */
function search(tops: Float64Array, at: number): number {
  let [low, high] = [0, tops.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((tops[middle] ?? 0) <= at) low = middle;
    else high = middle - 1;
  }
  return low;
}
