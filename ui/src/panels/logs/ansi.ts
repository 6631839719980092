import type { CSSProperties } from 'react';

export interface Span {
  text: string;
  style: CSSProperties;
}

const COLORS = ['#6e7079', '#f2495c', '#73bf69', '#fade2a', '#5794f2', '#b877d9', '#8ab8ff', '#d8d9da'];
// Escape is a control character on purpose: it begins what colours the line.
// eslint-disable-next-line no-control-regex
const SEQUENCE = /\x1b\[([\d;]*)m/g;
// eslint-disable-next-line no-control-regex
const OTHER_SEQUENCES = /\x1b\[[\d;?]*[A-HJKSTfhlnsu]/g;

/** A line with the colours that terminals show it in. */
export function spans(line: string): Span[] {
  if (!line.includes('\x1b')) return [{ text: line, style: {} }];
  const clean = line.replace(OTHER_SEQUENCES, '');
  const result: Span[] = [];
  let style: CSSProperties = {};
  let from = 0;
  for (const match of clean.matchAll(SEQUENCE)) {
    if (match.index > from) result.push({ text: clean.slice(from, match.index), style });
    style = (match[1] ?? '').split(';').reduce(apply, style);
    from = match.index + match[0].length;
  }
  if (from < clean.length) result.push({ text: clean.slice(from), style });
  return result;
}

function apply(style: CSSProperties, code: string): CSSProperties {
  const number = Number(code);
  if (number === 0) return {};
  if (number === 1) return { ...style, fontWeight: 700 };
  if (number === 3) return { ...style, fontStyle: 'italic' };
  if (number === 4) return { ...style, textDecoration: 'underline' };
  const color = COLORS[number % 10];
  const isForeground = (number >= 30 && number <= 37) || (number >= 90 && number <= 97);
  if (isForeground && color) return { ...style, color };
  if (number >= 40 && number <= 47 && color) return { ...style, backgroundColor: color };
  return style;
}
