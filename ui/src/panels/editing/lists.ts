/** Options of tables, logs, text and lists. */
import { choices, type Descriptor } from './descriptor';

type Loose = Record<string, unknown>;

export const TABLE: Descriptor[] = [
  { path: 'showHeader', name: 'Header', category: 'Table', kind: 'boolean' },
  { path: 'showTypeIcons', name: 'Icons of types', category: 'Table', kind: 'boolean' },
  {
    path: 'cellHeight',
    name: 'Row height',
    category: 'Table',
    kind: 'radio',
    choices: [
      { label: 'Small', value: 'sm' },
      { label: 'Medium', value: 'md' },
      { label: 'Large', value: 'lg' },
      { label: 'Auto', value: 'auto' },
    ],
  },
  { path: 'maxRowHeight', name: 'Highest row', category: 'Table', kind: 'number', placeholder: 'None' },
  {
    path: 'frozenColumns.left',
    name: 'Columns that stay at the left',
    category: 'Table',
    kind: 'number',
    min: 0,
  },
  { path: 'enablePagination', name: 'Pages', category: 'Table', kind: 'boolean' },
  {
    path: 'pageSize',
    name: 'Rows of a page',
    category: 'Table',
    kind: 'number',
    placeholder: 'Auto',
    shown: ({ enablePagination }) => Boolean(enablePagination),
  },
  {
    path: 'frameIndex',
    name: 'Frame',
    category: 'Table',
    kind: 'number',
    min: 0,
    about: 'Which of several frames is shown first',
  },
  {
    path: 'sortBy',
    name: 'Sorted by',
    category: 'Table',
    kind: 'json',
    about: 'Such as [{"displayName": "Value", "desc": true}]',
  },
];

const cellOf = (custom: Loose) => ((custom.cellOptions ?? {}) as Loose).type;

export const TABLE_FIELDS: Descriptor[] = [
  {
    path: 'cellOptions.type',
    name: 'Cell type',
    category: 'Cells',
    kind: 'select',
    choices: [
      { label: 'Auto', value: 'auto' },
      { label: 'Coloured text', value: 'color-text' },
      { label: 'Coloured background', value: 'color-background' },
      { label: 'Gauge', value: 'gauge' },
      { label: 'Sparkline', value: 'sparkline' },
      { label: 'Data links', value: 'data-links' },
      { label: 'JSON', value: 'json-view' },
      { label: 'Image', value: 'image' },
      { label: 'Pill', value: 'pill' },
      { label: 'Markdown', value: 'markdown' },
    ],
  },
  {
    path: 'cellOptions.mode',
    name: 'Gauge',
    category: 'Cells',
    kind: 'radio',
    choices: choices('basic', 'gradient', 'lcd'),
    shown: (custom) => cellOf(custom) === 'gauge',
  },
  {
    path: 'cellOptions.applyToRow',
    name: 'Colour the whole row',
    category: 'Cells',
    kind: 'boolean',
    shown: (custom) => cellOf(custom) === 'color-background',
  },
  {
    path: 'align',
    name: 'Alignment',
    category: 'Cells',
    kind: 'radio',
    choices: choices('auto', 'left', 'center', 'right'),
  },
  { path: 'wrapText', name: 'Wrap text', category: 'Cells', kind: 'boolean' },
  { path: 'inspect', name: 'Look into cells', category: 'Cells', kind: 'boolean' },
  { path: 'width', name: 'Column width', category: 'Columns', kind: 'number', placeholder: 'Auto' },
  { path: 'minWidth', name: 'Least width', category: 'Columns', kind: 'number', placeholder: '150' },
  { path: 'filterable', name: 'Filters in the header', category: 'Columns', kind: 'boolean' },
  { path: 'hideHeader', name: 'Hide the header', category: 'Columns', kind: 'boolean' },
  { path: 'wrapHeaderText', name: 'Wrap the header', category: 'Columns', kind: 'boolean' },
  { path: 'footer.reducers', name: 'Calculations below', category: 'Columns', kind: 'stats' },
  { path: 'tooltip.field', name: 'Tooltip from', category: 'Columns', kind: 'field' },
  { path: 'hideFrom.viz', name: 'Hide in the table', category: 'Columns', kind: 'boolean' },
];

export const LOGS: Descriptor[] = [
  { path: 'showTime', name: 'Time', category: 'Logs', kind: 'boolean' },
  { path: 'showLabels', name: 'Labels', category: 'Logs', kind: 'boolean' },
  { path: 'showCommonLabels', name: 'Labels that all lines have', category: 'Logs', kind: 'boolean' },
  { path: 'wrapLogMessage', name: 'Wrap lines', category: 'Logs', kind: 'boolean' },
  { path: 'prettifyLogMessage', name: 'Lay out JSON', category: 'Logs', kind: 'boolean' },
  { path: 'enableLogDetails', name: 'Details of a line', category: 'Logs', kind: 'boolean' },
  {
    path: 'dedupStrategy',
    name: 'Lines that repeat',
    category: 'Logs',
    kind: 'radio',
    choices: choices('none', 'exact', 'numbers', 'signature'),
  },
  {
    path: 'sortOrder',
    name: 'Order',
    category: 'Logs',
    kind: 'radio',
    choices: [
      { label: 'Newest first', value: 'Descending' },
      { label: 'Oldest first', value: 'Ascending' },
    ],
  },
];

export const TEXT: Descriptor[] = [
  {
    path: 'mode',
    name: 'Mode',
    category: 'Text',
    kind: 'radio',
    choices: [
      { label: 'Markdown', value: 'markdown' },
      { label: 'HTML', value: 'html' },
      { label: 'Code', value: 'code' },
    ],
  },
  { path: 'content', name: 'Content', category: 'Text', kind: 'code', about: 'May hold variables' },
];

export const ALERT_LIST: Descriptor[] = [
  { path: 'maxItems', name: 'Most alerts', category: 'Alerts', kind: 'number', min: 1 },
  { path: 'alertName', name: 'Name holds', category: 'Alerts', kind: 'text' },
  {
    path: 'alertInstanceLabelFilter',
    name: 'Labels',
    category: 'Alerts',
    kind: 'text',
    placeholder: '{severity="page"}',
  },
  { path: 'stateFilter.firing', name: 'Firing', category: 'Alerts', kind: 'boolean' },
  { path: 'stateFilter.pending', name: 'Pending', category: 'Alerts', kind: 'boolean' },
];

export const DASH_LIST: Descriptor[] = [
  { path: 'showStarred', name: 'Starred', category: 'Dashboards', kind: 'boolean' },
  { path: 'showSearch', name: 'Found by search', category: 'Dashboards', kind: 'boolean' },
  { path: 'showRecentlyViewed', name: 'Looked at lately', category: 'Dashboards', kind: 'boolean' },
  { path: 'showHeadings', name: 'Headings', category: 'Dashboards', kind: 'boolean' },
  { path: 'maxItems', name: 'Most dashboards', category: 'Dashboards', kind: 'number', min: 1 },
  { path: 'query', name: 'Title holds', category: 'Dashboards', kind: 'text' },
  { path: 'tags', name: 'Tags', category: 'Dashboards', kind: 'strings' },
  { path: 'keepTime', name: 'Links with the time range', category: 'Dashboards', kind: 'boolean' },
  { path: 'includeVars', name: 'Links with the variables', category: 'Dashboards', kind: 'boolean' },
];
