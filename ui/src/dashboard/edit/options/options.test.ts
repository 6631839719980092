import { beforeAll, describe, expect, it, vi } from 'vitest';
import { initRegistries } from '~/grafana-host/registries';
import { PANEL_TYPES, importPanelPlugin } from '~/panels';
import { PANEL_EDITING } from '~/panels/editors';
import { converted } from '../panel/preview';
import { fieldDefault, fieldOptions, panelOptions } from './catalog';
import { mappingsOf, rowsOf } from './Mappings';
import { inOrder } from './Thresholds';

// What draws tables needs a browser, and is not asked here.
vi.mock('@grafana/ui/unstable', () => ({ TableNG: () => null }));

beforeAll(initRegistries);

const rootOf = (path: string) => path.split('.')[0] ?? '';

describe('every panel is edited', () => {
  it('all types are offered', () => {
    expect(Object.keys(PANEL_EDITING).sort()).toEqual([...PANEL_TYPES].sort());
  });

  for (const type of PANEL_TYPES) {
    it(`${type}: all of its options have an editor, and all editors an option`, async () => {
      const plugin = await importPanelPlugin(type);
      const own = panelOptions(plugin);
      expect(own.filter(({ category }) => category === 'Other').map(({ path }) => path)).toEqual([]);
      expect(new Set(own.map(({ path }) => path)).size).toBe(own.length);
      if (plugin.meta.skipDataQuery) return;
      const fields = fieldOptions(plugin);
      expect(fields.filter(({ category }) => category === 'Other').map(({ path }) => path)).toEqual([]);
      const described = PANEL_EDITING[type]?.fields ?? [];
      const registered = plugin.fieldConfigRegistry.list().map(({ id }) => id);
      expect(
        described.map(({ path }) => `custom.${rootOf(path)}`).filter((id) => !registered.includes(id)),
      ).toEqual([]);
    });
  }

  it('an option is the panel’s own where nothing is said', async () => {
    const plugin = await importPanelPlugin('timeseries');
    expect(fieldDefault(plugin, 'custom.lineWidth')).toBe(1);
    expect(fieldDefault(plugin, 'custom.stacking.mode')).toBe('none');
    expect(fieldDefault(plugin, 'color')).toEqual({ mode: 'palette-classic' });
    expect(fieldDefault(plugin, 'unit')).toBeUndefined();
  });
});

describe('another type', () => {
  it('gets what it understands', async () => {
    const plugin = await importPanelPlugin('stat');
    const panel = {
      type: 'timeseries',
      gridPos: { x: 0, y: 0, w: 1, h: 1 },
      options: { legend: { showLegend: true }, reduceOptions: { calcs: ['max'] } },
      fieldConfig: {
        defaults: { unit: 'bytes', custom: { lineWidth: 3 } },
        overrides: [
          { matcher: { id: 'byName', options: 'a' }, properties: [{ id: 'custom.lineStyle.fill', value: 'dash' }, { id: 'unit', value: 's' }] },
          { matcher: { id: 'byName', options: 'b' }, properties: [{ id: 'custom.lineWidth', value: 1 }] },
        ],
      },
    }; // prettier-ignore
    expect(converted(panel, plugin)).toEqual({
      options: { reduceOptions: { calcs: ['max'] } },
      fieldConfig: {
        defaults: { unit: 'bytes' },
        overrides: [{ matcher: { id: 'byName', options: 'a' }, properties: [{ id: 'unit', value: 's' }] }],
      },
    });
    const back = converted(panel, await importPanelPlugin('timeseries'));
    expect(back.fieldConfig).toEqual(panel.fieldConfig);
  });
});

describe('mappings and thresholds', () => {
  it('mappings are rows, in their order', () => {
    const stored = [
      {
        type: 'value' as const,
        options: { 0: { text: 'down', color: 'red', index: 1 }, 1: { text: 'up', index: 2 } },
      },
      { type: 'range' as const, options: { from: 5, to: null, result: { text: 'many', index: 0 } } },
    ];
    const rows = rowsOf(stored);
    expect(rows.map(({ result }) => result.text)).toEqual(['many', 'down', 'up']);
    expect(mappingsOf(rows)).toEqual(stored);
    expect(mappingsOf([])).toEqual([]);
  });

  it('thresholds rise, above the one that holds from the beginning', () => {
    const steps = inOrder([{ color: 'a', value: 4 }, { color: 'c', value: 9 }, { color: 'b', value: 2 }]); // prettier-ignore
    expect(steps).toEqual([{ color: 'a', value: -Infinity }, { color: 'b', value: 2 }, { color: 'c', value: 9 }]); // prettier-ignore
  });
});
