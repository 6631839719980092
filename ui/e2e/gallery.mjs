// One panel of each kind, with repeats, rows, links and annotations, on the metrics that `bartizan up` has of itself and its host.

const place = (index, w = 8, h = 7) => ({ x: (index * w) % 24, y: Math.floor((index * w) / 24) * h, w, h });
const range = (expr, legendFormat = '__auto') => ({ refId: 'A', expr, legendFormat });
const instant = (expr, legendFormat = '__auto') => ({ refId: 'A', expr, legendFormat, instant: true });
const table = (refId, expr) => ({ refId, expr, instant: true, format: 'table' });

const CPU = 'sum by (mode) (rate(node_cpu_seconds_total[1m]))';

const PANELS = [
  { type: 'timeseries', title: 'Stacked with thresholds', targets: [{ ...range(CPU), exemplar: true }], fieldConfig: { defaults: { unit: 'percentunit', custom: { fillOpacity: 30, stacking: { mode: 'normal' }, thresholdsStyle: { mode: 'line' } }, thresholds: { mode: 'absolute', steps: [{ value: null, color: 'green' }, { value: 1, color: 'red' }] } }, overrides: [{ matcher: { id: 'byName', options: 'idle' }, properties: [{ id: 'color', value: { mode: 'fixed', fixedColor: 'dark-blue' } }] }] }, options: { legend: { displayMode: 'table', placement: 'right', calcs: ['mean', 'max'] } } },
  { type: 'timeseries', title: 'Bars, right axis', targets: [range('node_load1'), { ...range('node_memory_MemFree_bytes'), refId: 'B' }], fieldConfig: { defaults: { custom: { drawStyle: 'bars', fillOpacity: 60 } }, overrides: [{ matcher: { id: 'byFrameRefID', options: 'B' }, properties: [{ id: 'custom.axisPlacement', value: 'right' }, { id: 'unit', value: 'bytes' }, { id: 'custom.drawStyle', value: 'line' }] }] } },
  { type: 'stat', title: 'Stat', targets: [range('node_load1', 'load')], fieldConfig: { defaults: { mappings: [{ type: 'range', options: { from: 0, to: 0.0001, result: { text: 'idle', color: 'blue' } } }] } }, options: { colorMode: 'background' } },
  { type: 'gauge', title: 'Gauge', targets: [instant('node_memory_MemFree_bytes / node_memory_MemTotal_bytes')], fieldConfig: { defaults: { unit: 'percentunit', min: 0, max: 1, thresholds: { mode: 'percentage', steps: [{ value: null, color: 'red' }, { value: 50, color: 'green' }] } } }, options: { showThresholdLabels: true } },
  { type: 'bargauge', title: 'Bar gauge', targets: [instant(CPU)], fieldConfig: { defaults: { unit: 'percentunit', min: 0, max: 1, color: { mode: 'continuous-GrYlRd' } } }, options: { displayMode: 'lcd', orientation: 'horizontal' } },
  { type: 'table', title: 'Table', targets: [table('A', 'node_filesystem_size_bytes'), table('B', 'node_filesystem_avail_bytes')], transformations: [{ id: 'joinByField', options: { byField: 'mountpoint', mode: 'outer' } }, { id: 'organize', options: { includeByName: {}, excludeByName: { 'Time 1': true, 'Time 2': true }, renameByName: { 'Value #A': 'Size', 'Value #B': 'Free' } } }, { id: 'filterFieldsByName', options: { include: { names: ['mountpoint', 'Size', 'Free'] } } }], fieldConfig: { defaults: { unit: 'bytes' }, overrides: [{ matcher: { id: 'byName', options: 'Free' }, properties: [{ id: 'custom.cellOptions', value: { type: 'gauge', mode: 'basic' } }] }, { matcher: { id: 'byName', options: 'mountpoint' }, properties: [{ id: 'links', value: [{ title: 'Explore', url: '/explore?q=${__value.text}' }] }] }] } },
  { type: 'heatmap', title: 'Heatmap of buckets', targets: [{ ...range('sum by (le) (increase(prometheus_http_request_duration_seconds_bucket[1m]))', '{{le}}'), format: 'heatmap' }], options: { yAxis: { unit: 's' } } },
  { type: 'heatmap', title: 'Heatmap of values', targets: [range('rate(node_cpu_seconds_total[1m])')], options: { calculate: true, color: { scheme: 'Spectral' } } },
  { type: 'histogram', title: 'Histogram', targets: [range('node_load1')], options: { bucketCount: 20 } },
  { type: 'piechart', title: 'Pie chart', targets: [instant(CPU)], options: { pieType: 'donut', displayLabels: ['percent'], legend: { displayMode: 'table', placement: 'right', values: ['value', 'percent'] } } },
  { type: 'state-timeline', title: 'State timeline', targets: [range('up', '{{job}}')], fieldConfig: { defaults: { mappings: [{ type: 'value', options: { 0: { text: 'down', color: 'red' }, 1: { text: 'up', color: 'green' } } }], color: { mode: 'thresholds' } } } },
  { type: 'status-history', title: 'Status history', interval: '10s', targets: [range('node_load1 > bool 1', 'busy')], fieldConfig: { defaults: { thresholds: { mode: 'absolute', steps: [{ value: null, color: 'green' }, { value: 1, color: 'orange' }] } } } },
  { type: 'barchart', title: 'Bar chart', targets: [table('A', CPU)], transformations: [{ id: 'organize', options: { excludeByName: { Time: true } } }], fieldConfig: { defaults: { unit: 'percentunit' } }, options: { xField: 'mode' } },
  { type: 'xychart', title: 'XY chart', targets: [range('node_load1'), { ...range('node_load5'), refId: 'B' }], transformations: [{ id: 'joinByField', options: { byField: 'Time', mode: 'outer' } }, { id: 'organize', options: { excludeByName: { Time: true } } }] },
  { type: 'logs', title: 'Logs', datasource: { type: 'loki' }, targets: [{ refId: 'A', expr: '{service_name="gallery"}' }], options: { showTime: true } },
  { type: 'text', title: 'Text', options: { mode: 'markdown', content: '# Heading\n\n* one\n* **two** of $job\n\n| a | b |\n|---|---|\n| 1 | 2 |' } },
  { type: 'alertlist', title: 'Alert list', options: {} },
  { type: 'dashlist', title: 'Dashboard list', options: { showSearch: true } },
]; // prettier-ignore

const below = Math.ceil(PANELS.length / 3) * 7;

export const GALLERY = {
  uid: 'gallery',
  title: 'Gallery',
  tags: ['try'],
  schemaVersion: 39,
  graphTooltip: 1,
  time: { from: 'now-5m', to: 'now' },
  links: [{ title: 'Documentation', type: 'link', url: 'https://example.org', targetBlank: true }],
  annotations: { list: [{ name: 'Busy', enable: true, iconColor: 'orange', datasource: { type: 'prometheus' }, expr: 'node_load1 > 0', titleFormat: 'busy {{instance}}' }] },
  templating: {
    list: [
      { type: 'datasource', name: 'ds', query: 'prometheus' },
      { type: 'query', name: 'job', label: 'Job', query: 'label_values(up, job)', datasource: { uid: '${ds}' }, multi: true, includeAll: true, refresh: 2, sort: 1, current: { text: ['All'], value: ['$__all'] } },
      { type: 'interval', name: 'step', query: '1m,5m', auto: true, current: { text: '1m', value: '1m' } },
      { type: 'custom', name: 'kind', query: 'Short : s, Long : l' },
      { type: 'textbox', name: 'text', query: 'free' },
      { type: 'constant', name: 'fixed', query: 'hidden', hide: 2 },
      { type: 'adhoc', name: 'filters', datasource: { uid: '${ds}' } },
    ],
  },
  panels: [
    ...PANELS.map((panel, index) => ({ id: index + 1, gridPos: place(index), ...panel })),
    { id: 50, type: 'timeseries', title: 'Repeated for $job', repeat: 'job', repeatDirection: 'h', gridPos: { x: 0, y: below, w: 12, h: 6 }, targets: [range('scrape_duration_seconds{job=~"$job"}')], fieldConfig: { defaults: { unit: 's' } } },
    { id: 60, type: 'row', title: 'Row of $job', repeat: 'job', collapsed: false, gridPos: { x: 0, y: below + 6, w: 24, h: 1 } },
    { id: 61, type: 'stat', title: 'Samples of $job', gridPos: { x: 0, y: below + 7, w: 6, h: 4 }, targets: [instant('scrape_samples_scraped{job=~"$job"}')] },
  ],
}; // prettier-ignore
