/** Options of panels that show a value for each series. */
import { choices, type Descriptor } from './descriptor';
import { LEGEND, TOOLTIP } from './graphs';

type Loose = Record<string, unknown>;

const reduces = (options: Loose) => (options.reduceOptions ?? {}) as Loose;

const VALUES: Descriptor[] = [
  {
    path: 'reduceOptions.values',
    name: 'Show',
    category: 'Value options',
    kind: 'radio',
    choices: [
      { label: 'Calculate', value: false },
      { label: 'All values', value: true },
    ],
  },
  {
    path: 'reduceOptions.calcs',
    name: 'Calculation',
    category: 'Value options',
    kind: 'stats',
    shown: (options) => !reduces(options).values,
  },
  {
    path: 'reduceOptions.limit',
    name: 'Limit',
    category: 'Value options',
    kind: 'number',
    about: 'The most rows to show',
    placeholder: '25',
    shown: (options) => Boolean(reduces(options).values),
  },
  {
    path: 'reduceOptions.fields',
    name: 'Fields',
    category: 'Value options',
    kind: 'text',
    about: 'Numbers where nothing is written; a regular expression between slashes chooses by name',
    placeholder: 'Numeric fields',
  },
  {
    path: 'orientation',
    name: 'Orientation',
    category: 'Looks',
    kind: 'radio',
    choices: choices('auto', 'horizontal', 'vertical'),
  },
  {
    path: 'text.titleSize',
    name: 'Size of names',
    category: 'Text size',
    kind: 'number',
    placeholder: 'Auto',
    min: 1,
  },
  {
    path: 'text.valueSize',
    name: 'Size of values',
    category: 'Text size',
    kind: 'number',
    placeholder: 'Auto',
    min: 1,
  },
];

export const STAT: Descriptor[] = [
  ...VALUES,
  {
    path: 'textMode',
    name: 'Text',
    category: 'Looks',
    kind: 'select',
    choices: [
      { label: 'Auto', value: 'auto' },
      { label: 'Value', value: 'value' },
      { label: 'Value and name', value: 'value_and_name' },
      { label: 'Name', value: 'name' },
      { label: 'None', value: 'none' },
    ],
  },
  {
    path: 'wideLayout',
    name: 'Value beside the name where there is room',
    category: 'Looks',
    kind: 'boolean',
  },
  {
    path: 'colorMode',
    name: 'Colour',
    category: 'Looks',
    kind: 'select',
    choices: [
      { label: 'None', value: 'none' },
      { label: 'Value', value: 'value' },
      { label: 'Background, fading', value: 'background' },
      { label: 'Background', value: 'background_solid' },
    ],
  },
  {
    path: 'graphMode',
    name: 'Sparkline',
    category: 'Looks',
    kind: 'radio',
    choices: [
      { label: 'None', value: 'none' },
      { label: 'Area', value: 'area' },
      { label: 'Line', value: 'line' },
    ],
  },
  {
    path: 'justifyMode',
    name: 'Alignment',
    category: 'Looks',
    kind: 'radio',
    choices: choices('auto', 'center'),
  },
  { path: 'showPercentChange', name: 'Change in percent', category: 'Looks', kind: 'boolean' },
  {
    path: 'percentChangeColorMode',
    name: 'Colour of the change',
    category: 'Looks',
    kind: 'select',
    choices: [
      { label: 'Rising is good', value: 'standard' },
      { label: 'Rising is bad', value: 'inverted' },
      { label: 'As the value', value: 'same_as_value' },
    ],
    shown: ({ showPercentChange }) => Boolean(showPercentChange),
  },
];

const sizes = (path: string, name: string): Descriptor => ({
  path,
  name,
  category: 'Looks',
  kind: 'slider',
  min: 1,
  max: 600,
  shown: ({ sizing }) => sizing === 'manual',
});

const SIZING: Descriptor = {
  path: 'sizing',
  name: 'Size',
  category: 'Looks',
  kind: 'radio',
  choices: choices('auto', 'manual'),
};

export const GAUGE: Descriptor[] = [
  ...VALUES,
  { path: 'showThresholdLabels', name: 'Threshold labels', category: 'Looks', kind: 'boolean' },
  { path: 'showThresholdMarkers', name: 'Threshold band', category: 'Looks', kind: 'boolean' },
  SIZING,
  sizes('minVizWidth', 'Least width'),
  sizes('minVizHeight', 'Least height'),
];

export const BAR_GAUGE: Descriptor[] = [
  ...VALUES,
  {
    path: 'displayMode',
    name: 'Bars',
    category: 'Looks',
    kind: 'radio',
    choices: [
      { label: 'Gradient', value: 'gradient' },
      { label: 'Retro LCD', value: 'lcd' },
      { label: 'Basic', value: 'basic' },
    ],
  },
  {
    path: 'valueMode',
    name: 'Values',
    category: 'Looks',
    kind: 'radio',
    choices: [
      { label: 'Coloured', value: 'color' },
      { label: 'Text colour', value: 'text' },
      { label: 'Hidden', value: 'hidden' },
    ],
  },
  {
    path: 'namePlacement',
    name: 'Names',
    category: 'Looks',
    kind: 'radio',
    choices: choices('auto', 'top', 'left', 'hidden'),
  },
  { path: 'showUnfilled', name: 'Unfilled part', category: 'Looks', kind: 'boolean' },
  SIZING,
  sizes('minVizWidth', 'Least width'),
  sizes('minVizHeight', 'Least height'),
  sizes('maxVizHeight', 'Most height'),
  ...LEGEND,
];

const SHARES = [
  { label: 'Value', value: 'value' },
  { label: 'Percent', value: 'percent' },
];

export const PIE: Descriptor[] = [
  ...VALUES.filter(({ path }) => !path.startsWith('text.')),
  { path: 'pieType', name: 'Kind', category: 'Looks', kind: 'radio', choices: choices('pie', 'donut') },
  {
    path: 'sort',
    name: 'Order',
    category: 'Looks',
    kind: 'radio',
    choices: [
      { label: 'Descending', value: 'desc' },
      { label: 'Ascending', value: 'asc' },
      { label: 'None', value: 'none' },
    ],
  },
  {
    path: 'displayLabels',
    name: 'Labels',
    category: 'Looks',
    kind: 'multi',
    choices: [...SHARES, { label: 'Name', value: 'name' }],
  },
  ...LEGEND.filter(({ path }) => path !== 'legend.calcs'),
  { path: 'legend.values', name: 'Values', category: 'Legend', kind: 'multi', choices: SHARES },
  ...TOOLTIP,
];
