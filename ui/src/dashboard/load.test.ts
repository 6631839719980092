import { describe, expect, it } from 'vitest';
import { PANEL_TYPES } from '~/panels';
import { conformanceDashboards, shippedDashboards } from '~/test';
import { NotADashboard, loadDashboard, refIdAt } from './load';
import { SCHEMA_VERSION, allPanels, type DashboardJson } from './model';
import { toScene } from './toScene';

const panels = (dashboard: DashboardJson) => [...allPanels(dashboard.panels)];

describe('dashboards of kube-prometheus and our own', () => {
  for (const { name, json } of [...conformanceDashboards(), ...shippedDashboards()]) {
    it(`${name} loads, with panels that are all known`, () => {
      const before = JSON.stringify(json);
      const dashboard = loadDashboard(json);
      expect(JSON.stringify(json)).toBe(before);
      expect(dashboard.schemaVersion).toBe(SCHEMA_VERSION);
      const unknown = panels(dashboard).filter(({ type }) => type !== 'row' && !PANEL_TYPES.includes(type));
      expect(unknown).toEqual([]);
      const ids = panels(dashboard).map(({ id }) => id);
      expect(new Set(ids).size).toBe(ids.length);
      for (const { targets = [] } of panels(dashboard)) {
        const refIds = targets.map(({ refId }) => refId);
        expect(refIds.every(Boolean)).toBe(true);
        expect(new Set(refIds).size).toBe(refIds.length);
      }
      const scene = toScene(dashboard);
      const variables = scene.state.$variables?.state.variables.length;
      expect(variables).toBe(dashboard.templating.list.length);
    });
  }
});

describe('what is not of the current version', () => {
  it('rows of version 14 become places in a grid', () => {
    const dashboard = loadDashboard({
      title: 'Old',
      schemaVersion: 14,
      rows: [
        {
          title: 'First',
          showTitle: true,
          height: '250px',
          panels: [
            { type: 'text', span: 6 },
            { type: 'text', span: 6 },
            { type: 'text', span: 12 },
          ],
        },
        { title: 'Closed', collapse: true, height: 100, panels: [{ type: 'text', span: 3 }] },
      ],
    });
    expect(panels(dashboard).map(({ type, gridPos: { x, y, w, h } }) => [type, x, y, w, h])).toEqual([
      ['row', 0, 0, 24, 1],
      ['text', 0, 1, 12, 7],
      ['text', 12, 1, 12, 7],
      ['text', 0, 8, 24, 7],
      ['row', 0, 15, 24, 1],
      ['text', 0, 16, 6, 3],
    ]);
    expect(dashboard.panels.at(-1)?.panels).toHaveLength(1);
  });

  it('a graph becomes a time series with the same look', () => {
    const [panel] = loadDashboard({
      title: 'Graph',
      schemaVersion: 27,
      panels: [
        {
          type: 'graph', id: 1, gridPos: { x: 0, y: 0, w: 12, h: 8 }, fill: 2, linewidth: 3, stack: true, nullPointMode: 'connected',
          legend: { show: true, alignAsTable: true, rightSide: true, values: true, current: true, max: true },
          tooltip: { shared: true, sort: 2 },
          yaxes: [{ format: 'bytes', min: 0, logBase: 10 }, { format: 'percent' }],
          aliasColors: { idle: '#abc' },
          seriesOverrides: [{ alias: '/limit.*/', yaxis: 2, fill: 0, dashes: true }],
          thresholds: [{ op: 'gt', value: 80, colorMode: 'critical', fill: true, line: true }],
          targets: [{ expr: 'up' }],
        },
      ],
    }).panels; // prettier-ignore
    expect(panel?.type).toBe('timeseries');
    expect(panel?.fieldConfig?.defaults).toMatchObject({
      unit: 'bytes',
      min: 0,
      custom: {
        fillOpacity: 20,
        lineWidth: 3,
        spanNulls: true,
        stacking: { mode: 'normal' },
        scaleDistribution: { type: 'log', log: 10 },
        thresholdsStyle: { mode: 'line+area' },
      },
      thresholds: {
        steps: [
          { color: 'transparent', value: -Infinity },
          { color: 'red', value: 80 },
        ],
      },
    });
    expect(panel?.fieldConfig?.overrides).toEqual([
      {
        matcher: { id: 'byName', options: 'idle' },
        properties: [{ id: 'color', value: { mode: 'fixed', fixedColor: '#abc' } }],
      },
      {
        matcher: { id: 'byRegexp', options: '/limit.*/' },
        properties: [
          { id: 'unit', value: 'percent' },
          { id: 'custom.axisPlacement', value: 'right' },
          { id: 'custom.fillOpacity', value: 0 },
          { id: 'custom.lineStyle', value: { fill: 'dash', dash: [10, 10] } },
        ],
      },
    ]);
    expect(panel?.options).toEqual({
      legend: { showLegend: true, displayMode: 'table', placement: 'right', calcs: ['lastNotNull', 'max'] },
      tooltip: { mode: 'multi', sort: 'desc' },
    });
    expect(panel?.targets?.[0]?.refId).toBe('A');
  });

  it('a single stat becomes a stat or a gauge', () => {
    const stat = { type: 'singlestat', format: 'percent', valueName: 'current', colorBackground: true, colors: ['green', 'orange', 'red'], thresholds: '50, 80', sparkline: { show: true }, valueMaps: [{ value: 'null', text: 'N/A' }, { value: '1', text: 'up' }] }; // prettier-ignore
    const [first, second] = loadDashboard({
      title: 'Stats',
      panels: [stat, { ...stat, gauge: { show: true, minValue: 0, maxValue: 50 } }],
    }).panels;
    expect(first).toMatchObject({
      type: 'stat',
      options: { colorMode: 'background', graphMode: 'area', reduceOptions: { calcs: ['lastNotNull'] } },
      fieldConfig: {
        defaults: {
          unit: 'percent',
          thresholds: {
            steps: [
              { color: 'green', value: -Infinity },
              { color: 'orange', value: 50 },
              { color: 'red', value: 80 },
            ],
          },
        },
      },
    });
    expect(first?.fieldConfig?.defaults.mappings).toEqual([
      { type: 'value', options: { 1: { text: 'up', color: 'green' } } },
      { type: 'special', options: { match: 'null', result: { text: 'N/A' } } },
    ]);
    expect(second).toMatchObject({ type: 'gauge', fieldConfig: { defaults: { min: 0, max: 50 } } });
  });

  it('an old table keeps its columns', () => {
    const [panel] = loadDashboard({
      title: 'Table',
      panels: [
        {
          type: 'table',
          transform: 'table',
          styles: [
            { pattern: 'Time', type: 'hidden' },
            { pattern: '/Value #./', alias: 'Usage', type: 'number', unit: 'bytes', decimals: 1, link: true, linkUrl: '/d/x?var-a=$__cell_2', colorMode: 'cell', colors: ['a', 'b'], thresholds: ['5'] },
          ],
        },
      ],
    }).panels; // prettier-ignore
    expect(panel?.transformations).toEqual([{ id: 'merge', options: {} }]);
    const properties = Object.fromEntries(
      panel?.fieldConfig?.overrides[1]?.properties.map(({ id, value }) => [id, value as unknown]) ?? [],
    );
    expect(panel?.fieldConfig?.overrides[0]?.properties).toEqual([
      { id: 'custom.hideFrom', value: { viz: true } },
    ]);
    expect(properties).toMatchObject({
      displayName: 'Usage',
      unit: 'bytes',
      decimals: 1,
      links: [{ title: '', url: '/d/x?var-a=${__data.fields[2]}', targetBlank: false }],
      'custom.cellOptions': { type: 'color-background' },
    });
  });

  it('version 2 has elements and a layout', () => {
    const dashboard = loadDashboard({
      apiVersion: 'dashboard.grafana.app/v2',
      metadata: { name: 'v2' },
      spec: {
        title: 'Second',
        cursorSync: 'Tooltip',
        timeSettings: { from: 'now-3h', to: 'now', autoRefresh: '1m' },
        variables: [
          { kind: 'QueryVariable', spec: { name: 'job', hide: 'hideLabel', sort: 'alphabeticalDesc', refresh: 'onTimeRangeChanged', multi: true, current: { text: ['a'], value: ['a'] }, query: { kind: 'DataQuery', group: 'prometheus', datasource: { name: 'ds' }, spec: { query: 'label_values(up, job)', refId: 'x' } } } },
        ],
        elements: {
          one: { kind: 'Panel', spec: { id: 7, title: 'One', data: { kind: 'QueryGroup', spec: { queries: [{ kind: 'PanelQuery', spec: { refId: 'A', hidden: false, query: { kind: 'DataQuery', group: 'prometheus', datasource: { name: '${ds}' }, spec: { expr: 'up' } } } }], transformations: [{ kind: 'Transformation', group: 'merge', spec: { options: {} } }], queryOptions: { interval: '1m' } } }, vizConfig: { kind: 'VizConfig', group: 'stat', spec: { options: { graphMode: 'none' }, fieldConfig: { defaults: {}, overrides: [] } } } } },
        },
        layout: { kind: 'RowsLayout', spec: { rows: [{ kind: 'RowsLayoutRow', spec: { title: 'Row', collapse: false, layout: { kind: 'GridLayout', spec: { items: [{ kind: 'GridLayoutItem', spec: { x: 0, y: 0, width: 6, height: 4, element: { name: 'one' }, repeat: { mode: 'variable', value: 'job', direction: 'v' } } }] } } } }] } },
      },
    }); // prettier-ignore
    expect(dashboard).toMatchObject({
      uid: 'v2',
      title: 'Second',
      graphTooltip: 2,
      refresh: '1m',
      time: { from: 'now-3h', to: 'now' },
    });
    expect(dashboard.templating.list[0]).toMatchObject({
      type: 'query',
      hide: 1,
      sort: 2,
      refresh: 2,
      datasource: { type: 'prometheus', uid: 'ds' },
    });
    expect(dashboard.panels[1]).toMatchObject({
      id: 7,
      type: 'stat',
      gridPos: { x: 0, y: 1, w: 6, h: 4 },
      repeat: 'job',
      repeatDirection: 'v',
      interval: '1m',
      targets: [{ refId: 'A', expr: 'up', datasource: { type: 'prometheus', uid: '${ds}' } }],
      transformations: [{ id: 'merge', options: {} }],
    });
  });

  it('what is no dashboard is refused', () => {
    for (const input of [null, 7, [], {}, { panels: 'x' }])
      expect(() => loadDashboard(input)).toThrow(NotADashboard);
  });

  it('exports and answers of APIs are unwrapped', () => {
    expect(loadDashboard({ dashboard: { title: 'Inside' }, meta: {} }).title).toBe('Inside');
    expect(loadDashboard({ metadata: { name: 'u' }, spec: { title: 'K', panels: [] } })).toMatchObject({
      uid: 'u',
      title: 'K',
    });
  });
});

it('queries are named like columns of a sheet', () => {
  expect([0, 25, 26, 27, 51, 52].map(refIdAt)).toEqual(['A', 'Z', 'AA', 'AB', 'AZ', 'BA']);
});

it('panels of every type that is used are known', () => {
  const table: Record<string, { known: boolean; panels: number }> = {};
  for (const { json } of [...conformanceDashboards(), ...shippedDashboards()]) {
    for (const { type } of panels(loadDashboard(json))) {
      const row = (table[type] ??= { known: type === 'row' || PANEL_TYPES.includes(type), panels: 0 });
      row.panels += 1;
    }
  }
  // eslint-disable-next-line no-console -- the table is what is wanted of it
  console.table(table);
  expect(Object.values(table).every(({ known }) => known)).toBe(true);
});
