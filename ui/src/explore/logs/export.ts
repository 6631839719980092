import type { LogLine } from '~/panels/logs/lines';

const time = ({ timeMs, timeNs }: LogLine) =>
  `${new Date(timeMs).toISOString().slice(0, -5)}.${timeNs.slice(-9)}Z`;

export const asText = (lines: LogLine[]) => lines.map((line) => `${time(line)}\t${line.line}\n`).join('');

export const asJson = (lines: LogLine[]) =>
  JSON.stringify(
    lines.map((line) => ({
      timestamp: time(line),
      timestampNs: line.timeNs,
      line: line.line,
      labels: line.labels,
    })),
    undefined,
    2,
  );

/** A column for each label that any line has. */
export function asCsv(lines: LogLine[]): string {
  const names = [...new Set(lines.flatMap(({ labels }) => Object.keys(labels)))].sort();
  const rows = lines.map((line) => [time(line), line.line, ...names.map((name) => line.labels[name] ?? '')]);
  return [['time', 'line', ...names], ...rows].map((row) => `${row.map(cell).join(',')}\r\n`).join('');
}

/** Programs for tables take what begins with these for a formula and run it. */
const FORMULA = /^[=+\-@\t\r]/;

function cell(value: string): string {
  const safe = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
