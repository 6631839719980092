import type { DataFrame, DataTransformerInfo } from '@grafana/data';
import { map } from 'rxjs';

/** A transformation as a function of frames. */
export function transformation<Options extends object>(
  id: string,
  name: string,
  transform: (frames: DataFrame[], options: Options) => DataFrame[],
): DataTransformerInfo<Options> {
  return {
    id,
    name,
    defaultOptions: {},
    operator: (options) => (source) =>
      source.pipe(map((frames) => (frames.length ? transform(frames, options) : frames))),
  };
}
