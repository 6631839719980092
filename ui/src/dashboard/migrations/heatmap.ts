/** The heatmap panel of before version 9. */
import type { PanelJson } from '../model';

type Loose = Record<string, unknown>;

interface OldHeatmap extends PanelJson {
  dataFormat?: string;
  color?: {
    mode?: string;
    colorScheme?: string;
    cardColor?: string;
    exponent?: number;
    min?: number;
    max?: number;
  };
  cards?: { cardPadding?: number | null; cardRound?: number | null };
  yAxis?: {
    format?: string;
    decimals?: number | null;
    min?: number | string | null;
    max?: number | string | null;
    show?: boolean;
  };
  yBucketBound?: string;
  xBucketSize?: string | null;
  xBucketNumber?: number | null;
  yBucketSize?: number | null;
  yBucketNumber?: number | null;
  hideZeroBuckets?: boolean;
  reverseYBuckets?: boolean;
  legend?: { show?: boolean };
  tooltip?: { show?: boolean; showHistogram?: boolean };
}

const OLD = ['dataFormat', 'color', 'cards', 'yAxis', 'xAxis', 'yBucketBound', 'xBucketSize', 'xBucketNumber', 'yBucketSize', 'yBucketNumber', 'hideZeroBuckets', 'reverseYBuckets', 'legend', 'tooltip', 'heatmap', 'highlightCards', 'tooltipDecimals']; // prettier-ignore

export function migrateHeatmap(panel: PanelJson): void {
  const old = panel as OldHeatmap;
  const { color = {}, yAxis = {}, cards = {} } = old;
  const calculate = old.dataFormat !== 'tsbuckets';
  panel.options = {
    calculate,
    ...(calculate ? { calculation: calculation(old) } : {}),
    cellGap: cards.cardPadding ?? 1,
    cellRadius: cards.cardRound ?? 0,
    color: {
      mode: color.mode === 'opacity' ? 'opacity' : 'scheme',
      scheme: (color.colorScheme ?? 'interpolateOranges').replace(/^interpolate/, ''),
      fill: color.cardColor ?? 'dark-orange',
      exponent: color.exponent ?? 0.5,
      ...(color.min == null ? {} : { min: color.min }),
      ...(color.max == null ? {} : { max: color.max }),
    },
    filterValues: { le: old.hideZeroBuckets === false ? undefined : 1e-9 },
    rowsFrame: { layout: old.yBucketBound ?? 'auto' },
    yAxis: {
      axisPlacement: yAxis.show === false ? 'hidden' : 'left',
      reverse: old.reverseYBuckets ?? false,
      ...(yAxis.format ? { unit: yAxis.format } : {}),
      ...(yAxis.decimals == null ? {} : { decimals: yAxis.decimals }),
      ...bounds(yAxis),
    },
    legend: { show: old.legend?.show ?? false },
    tooltip: {
      mode: old.tooltip?.show === false ? 'none' : 'single',
      yHistogram: old.tooltip?.showHistogram ?? false,
    },
  };
  panel.fieldConfig = { defaults: {}, overrides: [] };
  for (const name of OLD) delete panel[name];
}

function bounds({ min, max }: NonNullable<OldHeatmap['yAxis']>): Loose {
  const set = (value: unknown) => value !== null && value !== undefined && value !== '';
  return { ...(set(min) ? { min: Number(min) } : {}), ...(set(max) ? { max: Number(max) } : {}) };
}

function calculation({ xBucketSize, xBucketNumber, yBucketSize, yBucketNumber }: OldHeatmap): Loose {
  const buckets = (size: unknown, count: unknown) =>
    size
      ? { mode: 'size', value: String(size) }
      : count
        ? { mode: 'count', value: String(count) }
        : undefined;
  return { xBuckets: buckets(xBucketSize, xBucketNumber), yBuckets: buckets(yBucketSize, yBucketNumber) };
}
