import {
  FieldType,
  applyNullInsertThreshold,
  type DataFrame,
  type Field,
  type TimeRange,
} from '@grafana/data';

/**
 * The frames a graph over time can draw: sorted by time, numbers only, every number finite, and nothing where steps are missing, so that
 * no line is drawn over a time of which nothing is known. Undefined when there is nothing to draw.
 */
export function graphable(series: DataFrame[], range?: TimeRange): DataFrame[] | undefined {
  const frames: DataFrame[] = [];
  for (const frame of series) {
    const time = frame.fields.find(({ type }) => type === FieldType.time);
    if (!time || !frame.length) continue;
    const drawn = frame.fields.flatMap((field) => drawable(field));
    if (!drawn.length) continue;
    // The graph does it for the first frame alone.
    frames.push(withGaps(sorted({ ...frame, fields: [{ ...time }, ...drawn] }, time), range));
  }
  return frames.length ? frames : undefined;
}

function withGaps(frame: DataFrame, range: TimeRange | undefined): DataFrame {
  return applyNullInsertThreshold({
    frame,
    ...(range ? { refFieldPseudoMin: range.from.valueOf(), refFieldPseudoMax: range.to.valueOf() } : {}),
  });
}

function drawable(field: Field): Field[] {
  switch (field.type) {
    case FieldType.number:
      return [hasInfinite(field.values) ? { ...field, values: field.values.map(finite) } : field];
    case FieldType.boolean:
      return [
        {
          ...field,
          type: FieldType.number,
          values: field.values.map((value) => (value === null ? null : Number(value))),
        },
      ];
    default:
      return [];
  }
}

const hasInfinite = (values: unknown[]) =>
  values.some((value) => typeof value === 'number' && !Number.isFinite(value));
const finite = (value: unknown) => (typeof value === 'number' && Number.isFinite(value) ? value : null);

/** Graphs want rising times; what comes from a table may have them any way round. */
function sorted(frame: DataFrame, time: Field<number>): DataFrame {
  const times = time.values;
  let rising = true;
  for (let i = 1; i < times.length; i++) rising &&= (times[i] ?? 0) >= (times[i - 1] ?? 0);
  if (rising) return frame;
  const order = times.map((_, index) => index).sort((a, b) => (times[a] ?? 0) - (times[b] ?? 0));
  return {
    ...frame,
    fields: frame.fields.map((field) => ({ ...field, values: order.map((at) => field.values[at]) })),
  };
}

/** When all that was found lies outside of what is shown, a user should be told so. */
export function outsideRange(frames: DataFrame[], range: TimeRange): boolean {
  const [from, to] = [range.from.valueOf(), range.to.valueOf()];
  return frames.every(({ fields: [time] }) => {
    const values: number[] = time?.values ?? [];
    return (values.at(-1) ?? 0) < from || (values[0] ?? Infinity) > to;
  });
}
