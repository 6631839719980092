/** The graph panel of before version 8, as time series, bar chart or histogram. */
import type { ConfigOverrideRule } from '@grafana/data';
import type { PanelJson } from '../model';
import { overrideFor, reducerOf, seriesMatcher } from './shared';

type Loose = Record<string, unknown>;

interface OldAxis {
  format?: string;
  label?: string | null;
  logBase?: number;
  min?: number | string | null;
  max?: number | string | null;
  show?: boolean;
  decimals?: number | null;
}

interface OldThreshold {
  colorMode?: string;
  fill?: boolean;
  fillColor?: string;
  line?: boolean;
  lineColor?: string;
  op?: 'gt' | 'lt';
  value?: number;
}

interface OldGraph extends PanelJson {
  aliasColors?: Record<string, string>;
  bars?: boolean;
  lines?: boolean;
  points?: boolean;
  fill?: number;
  fillGradient?: number;
  linewidth?: number;
  pointradius?: number;
  stack?: boolean;
  percentage?: boolean;
  steppedLine?: boolean;
  dashes?: boolean;
  dashLength?: number;
  spaceLength?: number;
  nullPointMode?: string;
  legend?: Loose;
  tooltip?: { shared?: boolean; sort?: number; msResolution?: boolean };
  seriesOverrides?: Loose[];
  thresholds?: OldThreshold[];
  xaxis?: { mode?: string; buckets?: number | null };
  yaxes?: OldAxis[];
  timeRegions?: unknown[];
}

/** Properties of the old panel, which would only be in the way. */
const OLD = [
  'aliasColors', 'bars', 'lines', 'points', 'fill', 'fillGradient', 'linewidth', 'pointradius', 'stack', 'percentage', 'steppedLine',
  'dashes', 'dashLength', 'spaceLength', 'nullPointMode', 'legend', 'tooltip', 'seriesOverrides', 'thresholds', 'xaxis', 'yaxes', 'yaxis',
  'timeRegions', 'renderer', 'grid', 'hiddenSeries', 'decimals',
]; // prettier-ignore

export function migrateGraph(panel: PanelJson): void {
  const old = panel as OldGraph;
  const mode = old.xaxis?.mode;
  const custom = lineStyle(old);
  const [left = {}, right = {}] = old.yaxes ?? [];
  const defaults: Loose = { ...axisDefaults(left), custom: { ...custom, ...axisCustom(left) } };
  const thresholds = old.thresholds?.length ? migrateGraphThresholds(old.thresholds) : undefined;
  if (thresholds) {
    defaults.thresholds = { mode: 'absolute', steps: thresholds.steps };
    (defaults.custom as Loose).thresholdsStyle = { mode: thresholds.style };
  }
  const overrides = [
    ...colorOverrides(old.aliasColors ?? {}),
    ...(old.seriesOverrides ?? []).flatMap((each) => seriesOverride(each, right, old)),
  ];
  panel.fieldConfig = { defaults: defaults as never, overrides: overrides as ConfigOverrideRule[] };
  panel.options = { legend: legend(old.legend ?? {}), tooltip: tooltip(old) };
  panel.type = 'timeseries';
  if (mode === 'series') {
    panel.type = 'bargauge';
    panel.options = {
      reduceOptions: { calcs: [reducerOf('avg')] },
      orientation: 'vertical',
      displayMode: 'basic',
    };
  } else if (mode === 'histogram') {
    panel.type = 'histogram';
    panel.options = {
      ...panel.options,
      combine: true,
      ...(old.xaxis?.buckets ? { bucketCount: old.xaxis.buckets } : {}),
    };
  }
  for (const name of OLD) delete panel[name];
}

function lineStyle(old: OldGraph): Loose {
  const drawn = old.bars ? 'bars' : old.lines === false && old.points ? 'points' : 'line';
  return {
    drawStyle: drawn,
    lineWidth: old.lines === false && !old.bars ? 0 : (old.linewidth ?? 1),
    // Fill went from 0 to 10.
    fillOpacity: old.bars ? 100 : (old.fill ?? 1) * 10,
    gradientMode: old.fillGradient ? 'opacity' : 'none',
    lineInterpolation: old.steppedLine ? 'stepAfter' : 'linear',
    showPoints: old.points ? 'always' : 'never',
    pointSize: old.points ? (old.pointradius ?? 2) * 2 + 1 : 5,
    spanNulls: old.nullPointMode === 'connected',
    ...(old.dashes
      ? { lineStyle: { fill: 'dash', dash: [old.dashLength ?? 10, old.spaceLength ?? 10] } }
      : {}),
    ...(old.stack ? { stacking: { mode: old.percentage ? 'percent' : 'normal', group: 'A' } } : {}),
  };
}

const bound = (value: OldAxis['min']) =>
  value === null || value === undefined || value === '' || Number.isNaN(Number(value))
    ? undefined
    : Number(value);

function axisDefaults({ format, min, max, decimals }: OldAxis): Loose {
  return {
    ...(format ? { unit: format } : {}),
    ...(bound(min) === undefined ? {} : { min: bound(min) }),
    ...(bound(max) === undefined ? {} : { max: bound(max) }),
    ...(decimals === null || decimals === undefined ? {} : { decimals }),
  };
}

function axisCustom({ label, logBase, show }: OldAxis): Loose {
  return {
    ...(label ? { axisLabel: label } : {}),
    ...(logBase && logBase > 1 ? { scaleDistribution: { type: 'log', log: logBase } } : {}),
    ...(show === false ? { axisPlacement: 'hidden' } : {}),
  };
}

function legend(old: Loose): Loose {
  const calcs = ['current', 'min', 'max', 'avg', 'total']
    .filter((name) => old.values && old[name])
    .map(reducerOf);
  return {
    showLegend: old.show !== false,
    displayMode: old.alignAsTable ? 'table' : 'list',
    placement: old.rightSide ? 'right' : 'bottom',
    calcs,
    ...(old.sort && calcs.length
      ? { sortBy: SORTED_BY[String(old.sort)] ?? 'Last *', sortDesc: old.sortDesc ?? true }
      : {}),
    ...(old.rightSide && old.sideWidth ? { width: old.sideWidth } : {}),
  };
}

/** The headings of columns that old ones were sorted by. */
const SORTED_BY: Record<string, string> = {
  current: 'Last *',
  min: 'Min',
  max: 'Max',
  avg: 'Mean',
  total: 'Total',
};

const tooltip = ({ tooltip: old }: OldGraph): Loose => ({
  mode: old?.shared === false ? 'single' : 'multi',
  sort: old?.sort === 1 ? 'asc' : old?.sort === 2 ? 'desc' : 'none',
});

const colorOverrides = (colors: Record<string, string>) =>
  Object.entries(colors).map(([name, fixedColor]) =>
    overrideFor({ id: 'byName', options: name }, { color: { mode: 'fixed', fixedColor } }),
  );

/** What was set for series whose name is, or matches, an alias. */
function seriesOverride(old: Loose, right: OldAxis, graph: OldGraph) {
  const properties: Loose = {};
  const style: Loose = {};
  for (const [name, value] of Object.entries(old)) {
    switch (name) {
      case 'color':
        properties.color = { mode: 'fixed', fixedColor: value };
        break;
      case 'yaxis':
        if (value === 2) Object.assign(properties, rightAxis(right));
        break;
      case 'bars':
        if (value) Object.assign(style, { drawStyle: 'bars', fillOpacity: 100 });
        break;
      case 'lines':
        Object.assign(style, value ? { drawStyle: 'line' } : { lineWidth: 0 });
        break;
      case 'linewidth':
        style.lineWidth = value;
        break;
      case 'fill':
        style.fillOpacity = Number(value) * 10;
        break;
      case 'points':
        style.showPoints = value ? 'always' : 'never';
        break;
      case 'pointradius':
        style.pointSize = Number(value) * 2 + 1;
        break;
      case 'steppedLine':
        style.lineInterpolation = value ? 'stepAfter' : 'linear';
        break;
      case 'dashes':
        if (value) style.lineStyle = { fill: 'dash', dash: [old.dashLength ?? 10, old.spaceLength ?? 10] };
        break;
      case 'stack':
        style.stacking = value
          ? { mode: graph.percentage ? 'percent' : 'normal', group: value === true ? 'A' : value }
          : { mode: 'none' };
        break;
      case 'transform':
        if (value === 'negative-Y') style.transform = 'negative-Y';
        break;
      case 'fillBelowTo':
        Object.assign(style, { fillBelowTo: value, lineWidth: 0 });
        break;
      case 'nullPointMode':
        style.spanNulls = value === 'connected';
        break;
      case 'legend':
        if (!value) style.hideFrom = { legend: true, tooltip: false, viz: false };
        break;
      default:
    }
  }
  for (const [name, value] of Object.entries(style)) properties[`custom.${name}`] = value;
  if (!Object.keys(properties).length) return [];
  return [overrideFor(seriesMatcher(String(old.alias ?? '')), properties)];
}

function rightAxis(axis: OldAxis): Loose {
  const properties: Loose = { ...axisDefaults(axis) };
  for (const [name, value] of Object.entries(axisCustom(axis))) properties[`custom.${name}`] = value;
  properties['custom.axisPlacement'] = axis.show === false ? 'hidden' : 'right';
  return properties;
}

/** Lines and areas above or below values, as steps from below to above. */
function migrateGraphThresholds(old: OldThreshold[]) {
  const color = ({ colorMode, lineColor, fillColor }: OldThreshold) =>
    colorMode === 'critical'
      ? 'red'
      : colorMode === 'warning'
        ? 'orange'
        : colorMode === 'ok'
          ? 'green'
          : (lineColor ?? fillColor ?? 'red');
  const sorted = [...old]
    .filter(({ value }) => value !== undefined && value !== null)
    .sort((a, b) => Number(a.value) - Number(b.value));
  const steps: { color: string; value: number }[] = [{ color: 'transparent', value: -Infinity }];
  for (const threshold of sorted) {
    const value = Number(threshold.value);
    if (threshold.op === 'lt') {
      const below = steps.at(-1);
      if (below?.color === 'transparent') below.color = color(threshold);
      steps.push({ color: 'transparent', value });
    } else {
      steps.push({ color: color(threshold), value });
    }
  }
  const line = old.some(({ line: has }) => has);
  const area = old.some(({ fill }) => fill);
  return { steps, style: line && area ? 'line+area' : area ? 'area' : line ? 'line' : 'off' };
}
