/** How the options of each panel are edited: loaded with the editor of panels, not with the panels. */
import type { Descriptor } from './editing/descriptor';
import { GRAPH_FIELDS, LEGEND, TOOLTIP, axis, hideFrom, stacking } from './editing/graphs';
import { BAR_CHART, HEATMAP, HISTOGRAM, STATE_FIELDS, STATES, XY, XY_FIELDS } from './editing/others';
import { ALERT_LIST, DASH_LIST, LOGS, TABLE, TABLE_FIELDS, TEXT } from './editing/lists';
import { BAR_GAUGE, GAUGE, PIE, STAT } from './editing/values';
import type { IconName } from '@grafana/ui';

export interface PanelEditing {
  name: string;
  about: string;
  icon: IconName;
  options: Descriptor[];
  /** Options of fields of its own; their paths lie below `custom`. */
  fields: Descriptor[];
}

const FILL: Descriptor[] = [
  { path: 'lineWidth', name: 'Line width', category: 'Looks', kind: 'slider', min: 0, max: 10 },
  { path: 'fillOpacity', name: 'Fill opacity', category: 'Looks', kind: 'slider', min: 0, max: 100 },
  {
    path: 'gradientMode',
    name: 'Gradient',
    category: 'Looks',
    kind: 'radio',
    choices: [
      { label: 'None', value: 'none' },
      { label: 'Opacity', value: 'opacity' },
      { label: 'Hue', value: 'hue' },
      { label: 'Scheme', value: 'scheme' },
    ],
  },
];

export const PANEL_EDITING: Record<string, PanelEditing> = {
  timeseries: {
    name: 'Time series',
    about: 'Lines, areas and bars over time',
    icon: 'chart-line',
    options: [
      ...LEGEND,
      ...TOOLTIP,
      {
        path: 'timezone',
        name: 'Time zones',
        category: 'Axis',
        kind: 'strings',
        about: 'An axis of time for each; nothing is that of the dashboard',
      },
    ],
    fields: GRAPH_FIELDS,
  },
  barchart: {
    name: 'Bar chart',
    about: 'Bars by category',
    icon: 'graph-bar',
    options: [...BAR_CHART, ...LEGEND, ...TOOLTIP],
    fields: [...FILL, ...axis(['axisPlacement', 'axisLabel', 'axisSoftMin', 'axisSoftMax']), ...hideFrom],
  },
  stat: {
    name: 'Stat',
    about: 'A number, and a sparkline',
    icon: 'calculator-alt',
    options: STAT,
    fields: [],
  },
  gauge: { name: 'Gauge', about: 'A number on a dial', icon: 'dashboard', options: GAUGE, fields: [] },
  bargauge: {
    name: 'Bar gauge',
    about: 'Numbers as bars',
    icon: 'align-left',
    options: BAR_GAUGE,
    fields: [],
  },
  table: { name: 'Table', about: 'Rows and columns', icon: 'table', options: TABLE, fields: TABLE_FIELDS },
  piechart: { name: 'Pie chart', about: 'Parts of a whole', icon: 'circle', options: PIE, fields: hideFrom },
  'state-timeline': {
    name: 'State timeline',
    about: 'States and how long they last',
    icon: 'bars',
    options: STATES,
    fields: STATE_FIELDS,
  },
  'status-history': {
    name: 'Status history',
    about: 'States at regular times',
    icon: 'apps',
    options: STATES,
    fields: STATE_FIELDS,
  },
  heatmap: {
    name: 'Heatmap',
    about: 'How often values are, over time',
    icon: 'gf-grid',
    options: HEATMAP,
    fields: [...axis(['scaleDistribution']), ...hideFrom],
  },
  histogram: {
    name: 'Histogram',
    about: 'How often values are',
    icon: 'chart-line',
    options: [...HISTOGRAM, ...LEGEND, ...TOOLTIP],
    fields: [...FILL, stacking, ...hideFrom],
  },
  xychart: {
    name: 'XY chart',
    about: 'One field against another',
    icon: 'x',
    options: [...XY, ...LEGEND, ...TOOLTIP],
    fields: XY_FIELDS,
  },
  logs: { name: 'Logs', about: 'Lines of logs', icon: 'gf-logs', options: LOGS, fields: [] },
  text: { name: 'Text', about: 'Markdown, HTML or code', icon: 'document-info', options: TEXT, fields: [] },
  alertlist: { name: 'Alert list', about: 'Alerts that fire', icon: 'bell', options: ALERT_LIST, fields: [] },
  dashlist: {
    name: 'Dashboard list',
    about: 'Links to dashboards',
    icon: 'list-ul',
    options: DASH_LIST,
    fields: [],
  },
};
