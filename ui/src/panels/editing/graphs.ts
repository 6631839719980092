/** Options of graphs: legends, tooltips, lines, axes. */
import { choices, type Descriptor } from './descriptor';

type Loose = Record<string, unknown>;

const legendOf = (options: Loose) => (options.legend ?? {}) as Loose;
const hasLegend = (options: Loose) => legendOf(options).showLegend !== false;

export const LEGEND: Descriptor[] = [
  { path: 'legend.showLegend', name: 'Shown', category: 'Legend', kind: 'boolean' },
  {
    path: 'legend.displayMode',
    name: 'Mode',
    category: 'Legend',
    kind: 'radio',
    choices: choices('list', 'table'),
    shown: hasLegend,
  },
  {
    path: 'legend.placement',
    name: 'Placement',
    category: 'Legend',
    kind: 'radio',
    choices: choices('bottom', 'right'),
    shown: hasLegend,
  },
  {
    path: 'legend.width',
    name: 'Width',
    category: 'Legend',
    kind: 'number',
    shown: (options) => hasLegend(options) && legendOf(options).placement === 'right',
  },
  {
    path: 'legend.calcs',
    name: 'Values',
    category: 'Legend',
    kind: 'stats',
    about: 'Shown beside each name',
    shown: hasLegend,
  },
];

const tooltipMode = (options: Loose) => ((options.tooltip ?? {}) as Loose).mode;

export const TOOLTIP: Descriptor[] = [
  {
    path: 'tooltip.mode',
    name: 'Mode',
    category: 'Tooltip',
    kind: 'radio',
    choices: [
      { label: 'Single', value: 'single' },
      { label: 'All', value: 'multi' },
      { label: 'Hidden', value: 'none' },
    ],
  },
  {
    path: 'tooltip.sort',
    name: 'Order of values',
    category: 'Tooltip',
    kind: 'radio',
    choices: [
      { label: 'None', value: 'none' },
      { label: 'Ascending', value: 'asc' },
      { label: 'Descending', value: 'desc' },
    ],
    shown: (options) => tooltipMode(options) === 'multi',
  },
  {
    path: 'tooltip.hideZeros',
    name: 'Hide zeros',
    category: 'Tooltip',
    kind: 'boolean',
    shown: (options) => tooltipMode(options) === 'multi',
  },
];

const AXIS: Descriptor[] = [
  {
    path: 'axisPlacement',
    name: 'Placement',
    category: 'Axis',
    kind: 'select',
    choices: choices('auto', 'left', 'right', 'hidden'),
  },
  { path: 'axisLabel', name: 'Label', category: 'Axis', kind: 'text' },
  { path: 'axisWidth', name: 'Width', category: 'Axis', kind: 'number', placeholder: 'Auto' },
  {
    path: 'axisGridShow',
    name: 'Grid lines',
    category: 'Axis',
    kind: 'radio',
    choices: [
      { label: 'Auto', value: null },
      { label: 'On', value: true },
      { label: 'Off', value: false },
    ],
  },
  {
    path: 'axisColorMode',
    name: 'Colour',
    category: 'Axis',
    kind: 'radio',
    choices: choices('text', 'series'),
  },
  { path: 'axisBorderShow', name: 'Border', category: 'Axis', kind: 'boolean' },
  { path: 'axisCenteredZero', name: 'Zero in the middle', category: 'Axis', kind: 'boolean' },
  {
    path: 'axisSoftMin',
    name: 'Soft min',
    category: 'Axis',
    kind: 'number',
    placeholder: 'See Standard options',
  },
  {
    path: 'axisSoftMax',
    name: 'Soft max',
    category: 'Axis',
    kind: 'number',
    placeholder: 'See Standard options',
  },
  {
    path: 'scaleDistribution.type',
    name: 'Scale',
    category: 'Axis',
    kind: 'radio',
    choices: [
      { label: 'Linear', value: 'linear' },
      { label: 'Logarithmic', value: 'log' },
      { label: 'Symlog', value: 'symlog' },
    ],
  },
  {
    path: 'scaleDistribution.log',
    name: 'Base of the logarithm',
    category: 'Axis',
    kind: 'radio',
    choices: [
      { label: '2', value: 2 },
      { label: '10', value: 10 },
    ],
    shown: (custom) => ['log', 'symlog'].includes(String(((custom.scaleDistribution ?? {}) as Loose).type)),
  },
  {
    path: 'scaleDistribution.linearThreshold',
    name: 'Linear up to',
    category: 'Axis',
    kind: 'number',
    shown: (custom) => ((custom.scaleDistribution ?? {}) as Loose).type === 'symlog',
  },
];

/** Some options of axes, by where they begin. */
export const axis = (names: string[]): Descriptor[] =>
  AXIS.filter(({ path }) => names.includes(path.split('.')[0] ?? ''));

export const stacking: Descriptor = {
  path: 'stacking.mode',
  name: 'Stack series',
  category: 'Graph styles',
  kind: 'radio',
  choices: [
    { label: 'Off', value: 'none' },
    { label: 'Normal', value: 'normal' },
    { label: '100%', value: 'percent' },
  ],
};

/** Hiding is an override's affair, mostly. */
export const hideFrom: Descriptor[] = [
  { path: 'hideFrom.viz', name: 'Hide in the panel', category: 'Hidden', kind: 'boolean' },
  { path: 'hideFrom.legend', name: 'Hide in the legend', category: 'Hidden', kind: 'boolean' },
  { path: 'hideFrom.tooltip', name: 'Hide in the tooltip', category: 'Hidden', kind: 'boolean' },
];

const draws =
  (...styles: string[]) =>
  (custom: Loose) =>
    styles.includes(String(custom.drawStyle ?? 'line'));
const STYLES = 'Graph styles';

export const GRAPH_FIELDS: Descriptor[] = [
  ...AXIS,
  {
    path: 'drawStyle',
    name: 'Style',
    category: STYLES,
    kind: 'radio',
    choices: [
      { label: 'Lines', value: 'line' },
      { label: 'Bars', value: 'bars' },
      { label: 'Points', value: 'points' },
    ],
  },
  {
    path: 'lineInterpolation',
    name: 'Line interpolation',
    category: STYLES,
    kind: 'radio',
    choices: [
      { label: 'Linear', value: 'linear' },
      { label: 'Smooth', value: 'smooth' },
      { label: 'Step before', value: 'stepBefore' },
      { label: 'Step after', value: 'stepAfter' },
    ],
    shown: draws('line'),
  },
  {
    path: 'barAlignment',
    name: 'Bar alignment',
    category: STYLES,
    kind: 'radio',
    choices: [
      { label: 'Before', value: -1 },
      { label: 'Centre', value: 0 },
      { label: 'After', value: 1 },
    ],
    shown: draws('bars'),
  },
  {
    path: 'barWidthFactor',
    name: 'Bar width',
    category: STYLES,
    kind: 'slider',
    min: 0.1,
    max: 1,
    step: 0.1,
    shown: draws('bars'),
  },
  {
    path: 'barMaxWidth',
    name: 'Widest bar',
    category: STYLES,
    kind: 'number',
    placeholder: 'Auto',
    shown: draws('bars'),
  },
  {
    path: 'lineWidth',
    name: 'Line width',
    category: STYLES,
    kind: 'slider',
    min: 0,
    max: 10,
    shown: draws('line', 'bars'),
  },
  {
    path: 'fillOpacity',
    name: 'Fill opacity',
    category: STYLES,
    kind: 'slider',
    min: 0,
    max: 100,
    shown: draws('line', 'bars'),
  },
  {
    path: 'gradientMode',
    name: 'Gradient',
    category: STYLES,
    kind: 'radio',
    choices: choices('none', 'opacity', 'hue', 'scheme'),
    shown: draws('line', 'bars'),
  },
  {
    path: 'fillBelowTo',
    name: 'Fill down to',
    category: STYLES,
    kind: 'field',
    about: 'Another series',
    shown: draws('line'),
  },
  {
    path: 'lineStyle.fill',
    name: 'Line style',
    category: STYLES,
    kind: 'radio',
    choices: [
      { label: 'Solid', value: 'solid' },
      { label: 'Dashes', value: 'dash' },
      { label: 'Dots', value: 'dot' },
    ],
    shown: draws('line'),
  },
  {
    path: 'spanNulls',
    name: 'Connect over gaps',
    category: STYLES,
    kind: 'radio',
    choices: [
      { label: 'Never', value: false },
      { label: 'Always', value: true },
      { label: 'Up to an hour', value: 3_600_000 },
    ],
    shown: draws('line'),
  },
  {
    path: 'insertNulls',
    name: 'Break the line',
    category: STYLES,
    kind: 'radio',
    choices: [
      { label: 'Never', value: false },
      { label: 'After an hour without', value: 3_600_000 },
    ],
    shown: draws('line'),
  },
  {
    path: 'showPoints',
    name: 'Points',
    category: STYLES,
    kind: 'radio',
    choices: choices('auto', 'always', 'never'),
    shown: draws('line', 'bars'),
  },
  { path: 'pointSize', name: 'Point size', category: STYLES, kind: 'slider', min: 1, max: 40 },
  { path: 'showValues', name: 'Values beside points', category: STYLES, kind: 'boolean' },
  stacking,
  {
    path: 'stacking.group',
    name: 'Stack',
    category: STYLES,
    kind: 'text',
    about: 'Series of the same stack stand on each other',
  },
  {
    path: 'transform',
    name: 'Transform',
    category: STYLES,
    kind: 'select',
    choices: [
      { label: 'None', value: null },
      { label: 'Constant', value: 'constant' },
      { label: 'Below zero', value: 'negative-Y' },
    ],
  },
  {
    path: 'thresholdsStyle.mode',
    name: 'Show thresholds',
    category: 'Thresholds',
    kind: 'select',
    choices: [
      { label: 'Off', value: 'off' },
      { label: 'As lines', value: 'line' },
      { label: 'As lines (dashed)', value: 'dashed' },
      { label: 'As filled regions', value: 'area' },
      { label: 'As filled regions and lines', value: 'line+area' },
      { label: 'As filled regions and lines (dashed)', value: 'dashed+area' },
    ],
  },
  { path: 'lineColor', name: 'Line colour', category: STYLES, kind: 'color' },
  { path: 'fillColor', name: 'Fill colour', category: STYLES, kind: 'color' },
  { path: 'pointColor', name: 'Point colour', category: STYLES, kind: 'color' },
  { path: 'pointSymbol', name: 'Point symbol', category: STYLES, kind: 'text' },
  ...hideFrom,
];
