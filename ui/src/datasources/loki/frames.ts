import { FieldType, type DataFrame } from '@grafana/data';
import type { Stream } from '~/api/loki';
import type { Labels } from '~/api/prometheus';

/** Kinds of labels, as panels of logs tell them apart. */
const STREAM = 'I';
const STRUCTURED = 'S';
const PARSED = 'P';

interface Line {
  timeNs: string;
  line: string;
  labels: Labels;
  kinds: Record<string, string>;
}

/** All lines of all streams in one frame, newest first, as panels of logs read it. */
export function logFrame(streams: Stream[], refId: string, expr: string): DataFrame {
  const lines = streams.flatMap(({ stream, values }) => values.map((entry) => toLine(stream, entry)));
  lines.sort((a, b) => (a.timeNs.length - b.timeNs.length || (a.timeNs < b.timeNs ? -1 : 1)) * -1);
  const seen = new Map<string, number>();
  return {
    refId,
    meta: {
      type: 'log-lines' as never,
      preferredVisualisationType: 'logs',
      executedQueryString: expr,
      custom: { frameType: 'LabeledTimeValues' },
    },
    fields: [
      { name: 'labels', type: FieldType.other, config: {}, values: lines.map(({ labels }) => labels) },
      {
        name: 'Time',
        type: FieldType.time,
        config: {},
        values: lines.map(({ timeNs }) => Number(timeNs.slice(0, -6))),
      },
      { name: 'Line', type: FieldType.string, config: {}, values: lines.map(({ line }) => line) },
      { name: 'tsNs', type: FieldType.string, config: {}, values: lines.map(({ timeNs }) => timeNs) },
      { name: 'labelTypes', type: FieldType.other, config: {}, values: lines.map(({ kinds }) => kinds) },
      { name: 'id', type: FieldType.string, config: {}, values: lines.map((line) => identify(line, seen)) },
    ],
    length: lines.length,
  };
}

function toLine(stream: Labels, [timeNs, line, kept]: Stream['values'][number]): Line {
  const labels: Labels = { ...stream, ...kept?.structuredMetadata, ...kept?.parsed };
  const kinds: Record<string, string> = {};
  for (const name of Object.keys(labels)) {
    const parsed = kept?.parsed && name in kept.parsed;
    const structured = kept?.structuredMetadata && name in kept.structuredMetadata;
    kinds[name] = parsed ? PARSED : structured ? STRUCTURED : STREAM;
  }
  return { timeNs, line, labels, kinds };
}

/** The same line may come twice at the same time from the same stream. */
function identify({ timeNs, line, labels }: Line, seen: Map<string, number>): string {
  let hash = 0;
  for (const char of `${line} ${JSON.stringify(labels)}`)
    hash = (Math.imul(hash, 31) + (char.codePointAt(0) ?? 0)) | 0;
  const id = `${timeNs}_${(hash >>> 0).toString(16)}`;
  const before = seen.get(id) ?? 0;
  seen.set(id, before + 1);
  return before ? `${id}_${before}` : id;
}
