import { useCallback, useLayoutEffect, useMemo, useReducer, useRef, useState, type RefObject } from 'react';
import type { LogLine } from './lines';

/** A line that was never in sight is taken to be this high, in pixels. */
const HEIGHT_GUESS = 20;
/** Lines beyond the edges that are drawn already. */
const MARGIN = 24;
/** The window moves by this many lines at once: what is drawn changes on few of the steps of scrolling. */
const STRIDE = 12;

interface Window {
  first: number;
  last: number;
  /** Pixels of the lines that are left out above and below. */
  before: number;
  after: number;
}

/**
 * Which lines of a long list are in sight of `scroller`. Heights are those that lines had when they were drawn: each child of
 * `drawn` stands for one.
 */
export function useWindow(
  scroller: RefObject<HTMLElement | null>,
  drawn: RefObject<HTMLElement | null>,
  lines: LogLine[],
): Window {
  const heights = useRef(new Map<string, number>());
  const [revision, bump] = useReducer((count: number) => count + 1, 0);
  const [[first, last], setBounds] = useState<[number, number]>([0, 2 * MARGIN + STRIDE]);

  const tops = useMemo(() => {
    const sums = new Float64Array(lines.length + 1);
    for (let index = 0; index < lines.length; index++) {
      const id = lines[index]?.id ?? '';
      sums[index + 1] = (sums[index] ?? 0) + (heights.current.get(id) ?? HEIGHT_GUESS);
    }
    return sums;
    // A new revision comes with new heights.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [lines, revision]);

  const look = useCallback(() => {
    const element = scroller.current;
    if (!element) return;
    const top = element.scrollTop;
    const from = search(tops, top) - MARGIN;
    const to = search(tops, top + (element.clientHeight || 600)) + MARGIN;
    const bounds: [number, number] = [
      Math.max(0, Math.floor(from / STRIDE) * STRIDE),
      Math.ceil(to / STRIDE) * STRIDE,
    ];
    setBounds((current) => (current[0] === bounds[0] && current[1] === bounds[1] ? current : bounds));
  }, [scroller, tops]);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return undefined;
    look();
    element.addEventListener('scroll', look, { passive: true });
    const observer = new ResizeObserver(() => {
      look();
      bump();
    });
    observer.observe(element);
    return () => {
      element.removeEventListener('scroll', look);
      observer.disconnect();
    };
  }, [scroller, look]);

  // All are measured at once, as each time that is asked after a change lays the page out anew.
  useLayoutEffect(() => {
    const children = drawn.current?.children;
    if (!children) return;
    let isChanged = false;
    for (let index = 0; index < children.length; index++) {
      const id = lines[first + index]?.id;
      const height = children[index]?.getBoundingClientRect().height;
      if (id === undefined || !height) continue;
      const known = heights.current.get(id) ?? HEIGHT_GUESS;
      heights.current.set(id, height);
      isChanged ||= known !== height;
    }
    if (isChanged) bump();
  });

  const end = Math.min(lines.length, last);
  const begin = Math.min(first, end);
  const total = tops[lines.length] ?? 0;
  return { first: begin, last: end, before: tops[begin] ?? 0, after: total - (tops[end] ?? total) };
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
