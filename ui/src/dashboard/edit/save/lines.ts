/** Two texts compared line by line. */

export interface Line {
  kind: 'same' | 'added' | 'removed' | 'skipped';
  text: string;
}

/** Beyond this many changed lines it is said that all between is other. */
const DISTANCE_MAX = 1500;
/** Lines shown around those that changed. */
const CONTEXT = 3;

/** The shortest list of lines removed and added that makes one text the other, with what is around them. */
export function compareLines(before: string, after: string): Line[] {
  const [a, b] = [before.split('\n'), after.split('\n')];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  const same = (text: string): Line => ({ kind: 'same', text });
  const inner = shortest(a.slice(start, a.length - end), b.slice(start, b.length - end));
  return folded([...a.slice(0, start).map(same), ...inner, ...a.slice(a.length - end).map(same)]);
}

/** Walks the grid of both texts by its diagonals, farthest first, and back along what it noted of each step. */
function shortest(a: string[], b: string[]): Line[] {
  const most = Math.min(a.length + b.length, DISTANCE_MAX);
  const steps: Map<number, number>[] = [];
  let reached = new Map<number, number>([[1, 0]]);
  for (let distance = 0; distance <= most; distance++) {
    const next = new Map(reached);
    for (let k = -distance; k <= distance; k += 2) {
      const below = reached.get(k + 1) ?? -1;
      const right = reached.get(k - 1) ?? -1;
      let x = k === -distance || (k !== distance && right < below) ? below : right + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      next.set(k, x);
      if (x >= a.length && x - k >= b.length) return walkBack(a, b, [...steps, reached], distance);
    }
    steps.push(reached);
    reached = next;
  }
  return [
    ...a.map((text): Line => ({ kind: 'removed', text })),
    ...b.map((text): Line => ({ kind: 'added', text })),
  ];
}

function walkBack(a: string[], b: string[], steps: Map<number, number>[], distance: number): Line[] {
  const lines: Line[] = [];
  let [x, y] = [a.length, b.length];
  const slide = (toX: number, toY: number) => {
    while (x > toX && y > toY) {
      lines.push({ kind: 'same', text: a[--x] ?? '' });
      y--;
    }
  };
  for (let at = distance; at > 0; at--) {
    const reached = steps[at] ?? new Map<number, number>();
    const k = x - y;
    const isDown = k === -at || (k !== at && (reached.get(k - 1) ?? -1) < (reached.get(k + 1) ?? -1));
    const fromK = isDown ? k + 1 : k - 1;
    const fromX = reached.get(fromK) ?? 0;
    slide(isDown ? fromX : fromX + 1, isDown ? fromX - fromK + 1 : fromX - fromK);
    lines.push(isDown ? { kind: 'added', text: b[--y] ?? '' } : { kind: 'removed', text: a[--x] ?? '' });
  }
  slide(0, 0);
  return lines.reverse();
}

function folded(lines: Line[]): Line[] {
  const isNear = lines.map(() => false);
  lines.forEach(({ kind }, index) => {
    if (kind === 'same') return;
    for (let at = Math.max(0, index - CONTEXT); at <= Math.min(lines.length - 1, index + CONTEXT); at++)
      isNear[at] = true;
  });
  const shown: Line[] = [];
  let hidden = 0;
  const skip = () => {
    if (hidden) shown.push({ kind: 'skipped', text: `${hidden} lines as before` });
    hidden = 0;
  };
  lines.forEach((line, index) => {
    if (!isNear[index]) hidden += 1;
    else {
      skip();
      shown.push(line);
    }
  });
  skip();
  return shown;
}
