import { FieldType, getFieldDisplayName, type DataFrame, type Field } from '@grafana/data';

export interface HistogramSeries {
  name: string;
  color: string;
  /** How many values are in each bucket. */
  counts: number[];
  /** Absent where all fields are counted together. */
  source?: Field;
}

export interface Histogram {
  /** Bounds of the buckets: one more than there are buckets. */
  bounds: number[];
  series: HistogramSeries[];
  /** Shows bounds with the unit of the values. */
  field: Field | undefined;
}

interface Options {
  bucketCount?: number;
  bucketSize?: number;
  bucketOffset?: number;
  combine?: boolean;
}

const BUCKETS_DEFAULT = 30;
const BUCKETS_MAX = 1000;

/** How many of the values of each field lie where, in buckets that all fields share. */
export function histogram(frames: DataFrame[], options: Options): Histogram | undefined {
  const fields = frames.flatMap((frame) =>
    frame.fields
      .filter(({ type }) => type === FieldType.number)
      .map((field) => ({ field, name: getFieldDisplayName(field, frame, frames) })),
  );
  const samples = fields.map(({ field }) =>
    field.values.filter((value): value is number => Number.isFinite(value)),
  );
  let [min, max] = [Infinity, -Infinity];
  for (const value of samples.flat()) {
    min = Math.min(min, value);
    max = Math.max(max, value);
  }
  if (!(max >= min)) return undefined;
  const size = options.bucketSize || niceSize((max - min) / (options.bucketCount || BUCKETS_DEFAULT));
  const offset = options.bucketOffset ?? 0;
  const first = Math.floor((min - offset) / size);
  const count = Math.min(BUCKETS_MAX, Math.floor((max - offset) / size) - first + 1);
  const bounds = Array.from({ length: count + 1 }, (_, index) => (first + index) * size + offset);
  const counted = samples.map((values) => {
    const counts = new Array<number>(count).fill(0);
    for (const value of values) {
      const bucket = Math.min(count - 1, Math.floor((value - offset) / size) - first);
      counts[bucket] = (counts[bucket] ?? 0) + 1;
    }
    return counts;
  });
  const color = ({ field }: { field: Field }) => field.display?.(max).color ?? '#73bf69';
  const [head] = fields;
  const series =
    options.combine && head
      ? [
          {
            name: 'Count',
            color: color(head),
            counts: bounds
              .slice(1)
              .map((_, bucket) => counted.reduce((sum, counts) => sum + (counts[bucket] ?? 0), 0)),
          },
        ]
      : fields.map((field, index) => ({
          name: field.name,
          color: color(field),
          counts: counted[index] ?? [],
          source: field.field,
        }));
  return { bounds, series, field: head?.field };
}

/** The next of 1, 2, 2.5, 5 and their multiples by ten. */
function niceSize(rough: number): number {
  if (!(rough > 0)) return 1;
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  return ([1, 2, 2.5, 5, 10].find((factor) => factor * magnitude >= rough) ?? 10) * magnitude;
}
