/** Options of bar charts, histograms, heatmaps, states and XY charts. */
import { choices, type Descriptor } from './descriptor';
import { LEGEND, TOOLTIP, axis, hideFrom } from './graphs';

type Loose = Record<string, unknown>;

const fraction = (path: string, name: string, category: string): Descriptor => ({
  path,
  name,
  category,
  kind: 'slider',
  min: 0,
  max: 1,
  step: 0.01,
});

export const BAR_CHART: Descriptor[] = [
  {
    path: 'xField',
    name: 'X axis',
    category: 'Bars',
    kind: 'field',
    about: 'The first text or time where nothing is chosen',
  },
  {
    path: 'orientation',
    name: 'Orientation',
    category: 'Bars',
    kind: 'radio',
    choices: choices('auto', 'horizontal', 'vertical'),
  },
  {
    path: 'stacking',
    name: 'Stacking',
    category: 'Bars',
    kind: 'radio',
    choices: [
      { label: 'Off', value: 'none' },
      { label: 'Normal', value: 'normal' },
      { label: '100%', value: 'percent' },
    ],
  },
  {
    path: 'showValue',
    name: 'Values',
    category: 'Bars',
    kind: 'radio',
    choices: choices('auto', 'always', 'never'),
  },
  fraction('groupWidth', 'Group width', 'Bars'),
  fraction('barWidth', 'Bar width', 'Bars'),
  { path: 'barRadius', name: 'Bar radius', category: 'Bars', kind: 'slider', min: 0, max: 0.5, step: 0.05 },
  {
    path: 'xTickLabelRotation',
    name: 'Rotate labels',
    category: 'Bars',
    kind: 'slider',
    min: -90,
    max: 90,
    step: 15,
  },
  {
    path: 'xTickLabelMaxLength',
    name: 'Longest label',
    category: 'Bars',
    kind: 'number',
    placeholder: 'None',
  },
];

export const HISTOGRAM: Descriptor[] = [
  { path: 'bucketCount', name: 'Buckets', category: 'Histogram', kind: 'number', placeholder: '30', min: 1 },
  { path: 'bucketSize', name: 'Bucket size', category: 'Histogram', kind: 'number', placeholder: 'Auto' },
  { path: 'bucketOffset', name: 'Bucket offset', category: 'Histogram', kind: 'number', placeholder: '0' },
  { path: 'combine', name: 'Combine series', category: 'Histogram', kind: 'boolean' },
];

const calculates = ({ calculate }: Loose) => Boolean(calculate);
const colorOf = (options: Loose) => (options.color ?? {}) as Loose;
const isScheme = (options: Loose) => colorOf(options).mode !== 'opacity';
const SCHEMES = ['Oranges', 'Reds', 'Greens', 'Blues', 'Purples', 'Greys', 'Spectral', 'Turbo', 'Viridis', 'Magma', 'Inferno', 'Plasma', 'Cividis', 'Warm', 'Cool', 'Cubehelix', 'RdYlGn', 'RdYlBu', 'RdBu', 'YlGnBu', 'YlOrRd', 'YlOrBr', 'BuGn', 'BuPu', 'GnBu', 'OrRd', 'PuBu', 'PuBuGn', 'PuRd', 'RdPu', 'YlGn']; // prettier-ignore

export const HEATMAP: Descriptor[] = [
  {
    path: 'calculate',
    name: 'Calculate from data',
    category: 'Heatmap',
    kind: 'radio',
    choices: [
      { label: 'Yes', value: true },
      { label: 'No', value: false },
    ],
  },
  {
    path: 'calculation.xBuckets.mode',
    name: 'X buckets',
    category: 'Heatmap',
    kind: 'radio',
    choices: choices('size', 'count'),
    shown: calculates,
  },
  {
    path: 'calculation.xBuckets.value',
    name: 'X size or count',
    category: 'Heatmap',
    kind: 'text',
    placeholder: 'Auto',
    shown: calculates,
  },
  {
    path: 'calculation.yBuckets.mode',
    name: 'Y buckets',
    category: 'Heatmap',
    kind: 'radio',
    choices: choices('size', 'count'),
    shown: calculates,
  },
  {
    path: 'calculation.yBuckets.value',
    name: 'Y size or count',
    category: 'Heatmap',
    kind: 'text',
    placeholder: 'Auto',
    shown: calculates,
  },
  {
    path: 'yAxis.axisPlacement',
    name: 'Placement',
    category: 'Y axis',
    kind: 'select',
    choices: choices('left', 'right', 'hidden'),
  },
  { path: 'yAxis.unit', name: 'Unit', category: 'Y axis', kind: 'unit' },
  { path: 'yAxis.decimals', name: 'Decimals', category: 'Y axis', kind: 'number', placeholder: 'Auto' },
  { path: 'yAxis.min', name: 'Min', category: 'Y axis', kind: 'number', placeholder: 'Auto' },
  { path: 'yAxis.max', name: 'Max', category: 'Y axis', kind: 'number', placeholder: 'Auto' },
  { path: 'yAxis.reverse', name: 'Reverse', category: 'Y axis', kind: 'boolean' },
  {
    path: 'color.mode',
    name: 'Mode',
    category: 'Colours',
    kind: 'radio',
    choices: choices('scheme', 'opacity'),
  },
  {
    path: 'color.scheme',
    name: 'Scheme',
    category: 'Colours',
    kind: 'select',
    choices: SCHEMES.map((value) => ({ label: value, value })),
    shown: isScheme,
  },
  {
    path: 'color.fill',
    name: 'Colour',
    category: 'Colours',
    kind: 'color',
    shown: (options) => !isScheme(options),
  },
  {
    path: 'color.exponent',
    name: 'Exponent',
    category: 'Colours',
    kind: 'slider',
    min: 0.1,
    max: 2,
    step: 0.1,
    shown: (options) => !isScheme(options),
  },
  {
    path: 'color.steps',
    name: 'Steps',
    category: 'Colours',
    kind: 'slider',
    min: 2,
    max: 128,
    shown: isScheme,
  },
  { path: 'color.reverse', name: 'Reverse', category: 'Colours', kind: 'boolean', shown: isScheme },
  { path: 'color.min', name: 'From the value', category: 'Colours', kind: 'number', placeholder: 'Auto' },
  { path: 'color.max', name: 'To the value', category: 'Colours', kind: 'number', placeholder: 'Auto' },
  { path: 'cellGap', name: 'Gap', category: 'Cells', kind: 'slider', min: 0, max: 25 },
  { path: 'cellRadius', name: 'Radius', category: 'Cells', kind: 'slider', min: 0, max: 50 },
  { path: 'cellValues.unit', name: 'Unit', category: 'Cells', kind: 'unit' },
  { path: 'cellValues.decimals', name: 'Decimals', category: 'Cells', kind: 'number', placeholder: 'Auto' },
  { path: 'filterValues.le', name: 'Hide values up to', category: 'Cells', kind: 'number' },
  { path: 'filterValues.ge', name: 'Hide values from', category: 'Cells', kind: 'number' },
  { path: 'legend.show', name: 'Shown', category: 'Legend', kind: 'boolean' },
  ...TOOLTIP,
];

export const STATES: Descriptor[] = [
  { path: 'mergeValues', name: 'Merge equal values', category: 'States', kind: 'boolean' },
  {
    path: 'showValue',
    name: 'Values',
    category: 'States',
    kind: 'radio',
    choices: choices('auto', 'always', 'never'),
  },
  {
    path: 'alignValue',
    name: 'Align values',
    category: 'States',
    kind: 'radio',
    choices: choices('left', 'center', 'right'),
  },
  fraction('rowHeight', 'Row height', 'States'),
  { path: 'perPage', name: 'Rows on a page', category: 'States', kind: 'number', min: 0 },
  fraction('colWidth', 'Column width', 'States'),
  ...LEGEND.filter(({ path }) => path !== 'legend.calcs'),
  ...TOOLTIP,
];

export const STATE_FIELDS: Descriptor[] = [
  { path: 'lineWidth', name: 'Line width', category: 'States', kind: 'slider', min: 0, max: 10 },
  { path: 'fillOpacity', name: 'Fill opacity', category: 'States', kind: 'slider', min: 0, max: 100 },
  { path: 'spanNulls', name: 'Connect over gaps', category: 'States', kind: 'boolean' },
  { path: 'insertNulls', name: 'Break where nothing is', category: 'States', kind: 'boolean' },
  ...axis(['axisPlacement', 'axisLabel', 'axisWidth']),
  ...hideFrom,
];

export const XY: Descriptor[] = [
  {
    path: 'mapping',
    name: 'Series',
    category: 'XY chart',
    kind: 'radio',
    choices: choices('auto', 'manual'),
  },
  {
    path: 'series',
    name: 'Mapping',
    category: 'XY chart',
    kind: 'xySeries',
    about: 'By hand, each is a series; else the first says where all are to be found',
    shown: ({ mapping, series }) => mapping === 'manual' || (Array.isArray(series) && series.length > 0),
  },
];

export const XY_FIELDS: Descriptor[] = [
  {
    path: 'show',
    name: 'Show',
    category: 'XY chart',
    kind: 'radio',
    choices: [
      { label: 'Points', value: 'points' },
      { label: 'Lines', value: 'lines' },
      { label: 'Both', value: 'points+lines' },
    ],
  },
  { path: 'pointSize.fixed', name: 'Point size', category: 'XY chart', kind: 'slider', min: 1, max: 100 },
  {
    path: 'pointSize.min',
    name: 'Least point size',
    category: 'XY chart',
    kind: 'number',
    min: 0,
    placeholder: '1',
    about: 'Where a field says how large points are',
  },
  {
    path: 'pointSize.max',
    name: 'Greatest point size',
    category: 'XY chart',
    kind: 'number',
    min: 0,
    placeholder: '50',
  },
  {
    path: 'pointShape',
    name: 'Point shape',
    category: 'XY chart',
    kind: 'radio',
    choices: choices('circle', 'square'),
  },
  {
    path: 'pointStrokeWidth',
    name: 'Stroke of points',
    category: 'XY chart',
    kind: 'slider',
    min: 0,
    max: 10,
  },
  { path: 'fillOpacity', name: 'Fill opacity', category: 'XY chart', kind: 'slider', min: 0, max: 100 },
  { path: 'lineWidth', name: 'Line width', category: 'XY chart', kind: 'slider', min: 0, max: 10 },
  {
    path: 'lineStyle.fill',
    name: 'Line style',
    category: 'XY chart',
    kind: 'radio',
    choices: [
      { label: 'Solid', value: 'solid' },
      { label: 'Dashes', value: 'dash' },
      { label: 'Dots', value: 'dot' },
    ],
  },
  ...axis(['axisPlacement', 'axisLabel']),
  ...hideFrom,
];
