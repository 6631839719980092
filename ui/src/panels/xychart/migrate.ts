/** Options of XY charts before series had matchers: fields by their names, and how points look for each series. */
import type { PanelModel } from '@grafana/data';
import type { Dimension, SeriesRule } from './mapping';
import type { XyOptions } from './XyPanel';

interface OldSeries {
  x?: string;
  y?: string;
  name?: string;
  frame?: number;
  pointColor?: { field?: string; fixed?: string };
  pointSize?: { field?: string };
}

interface OldOptions {
  seriesMapping?: 'auto' | 'manual';
  /** What is asked for without a mapping by hand. */
  dims?: { frame?: number; x?: string; exclude?: string[] };
  series?: OldSeries[];
}

const byName = (options: string | undefined): Dimension | undefined =>
  options ? { matcher: { id: 'byName', options } } : undefined;

const byIndex = (options: number | undefined): Dimension | undefined =>
  options === undefined ? undefined : { matcher: { id: 'byIndex', options } };

/** Without what nothing is asked for. */
const rule = (parts: Record<keyof SeriesRule, SeriesRule[keyof SeriesRule]>): SeriesRule =>
  Object.fromEntries(Object.entries(parts).filter(([, part]) => part !== undefined));

export function migrateXy(panel: PanelModel<XyOptions>): Partial<XyOptions> {
  const { seriesMapping, dims = {}, ...rest } = panel.options as XyOptions & OldOptions;
  if (!seriesMapping) return panel.options;
  const exclude = dims.exclude?.length ? { mode: 'exclude', names: dims.exclude } : undefined;
  const found = rule({
    frame: byIndex(dims.frame),
    x: byName(dims.x),
    y: exclude && { matcher: { id: 'byNames', options: exclude } },
    size: undefined,
    color: undefined,
    name: undefined,
  });
  const mapped = ((rest.series ?? []) as OldSeries[]).map(({ x, y, name, frame, pointColor, pointSize }) =>
    rule({
      frame: byIndex(frame),
      x: byName(x),
      y: byName(y),
      size: byName(pointSize?.field),
      color: byName(pointColor?.field),
      name: name ? { fixed: name } : undefined,
    }),
  );
  return { ...rest, mapping: seriesMapping, series: seriesMapping === 'manual' ? mapped : [found] };
}
