import { describe, expect, it } from 'vitest';
import { conformanceDashboards, shippedDashboards } from '~/test';
import { loadDashboard } from '../load';
import { allPanels, type DashboardJson, type PanelJson } from '../model';
import { toScene } from '../toScene';
import { commitPanels, isChanged, redo, startEditing, stopEditing, undo } from './commit';
import { getIn, isObject, isSame, moved, setIn } from './json';
import { panelsOf, showPanels } from './layout';
import { addPanel, addRow, duplicatePanel, nudgePanel, removePanel, removeRow, replacePanel } from './panels';

/** Every object gets a field that no version of the schema knows, except where names are data. */
function withUnknown(value: unknown, path: string[] = []): unknown {
  if (Array.isArray(value)) return value.map((each) => withUnknown(each, path));
  if (!isObject(value)) return value;
  const inner = Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, withUnknown(each, [...path, key])]),
  );
  // Transformations and mappings have maps of names.
  const isMap =
    path.some((part) => /ByName$|^transformations$|^mappings$|^overrides$/.test(part)) ||
    path.at(-1) === 'gridPos';
  return isMap ? inner : { ...inner, unheardOf: 'kept' };
}

/** Where two values are not the same JSON. */
function differing(before: unknown, after: unknown, path = ''): string[] {
  if (isSame(before, after)) return [];
  if (Array.isArray(before) && Array.isArray(after) && before.length === after.length)
    return before.flatMap((each, index) => differing(each, after[index], `${path}[]`));
  if (!isObject(before) || !isObject(after)) return [path];
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((key) =>
    differing(before[key], after[key], path ? `${path}.${key}` : key),
  );
}

/**
 * What loading changes in a dashboard that is stored again: what generators leave out is put in, and what older versions of the
 * schema said otherwise is said as today.
 */
const NORMALISED = [
  /^(tags|links|panels|schemaVersion|graphTooltip|timepicker|time|refresh|uid|title|rows|sharedCrosshair)$/,
  /^annotations(\.list)?$/,
  /^templating(\.list)?$/,
  /^templating\.list\[\]\.(hide|options|tags|tagsQuery|tagValuesQuery|useTags)$/,
  /panels\[\]\.(id|gridPos|pluginVersion|minSpan|maxPerRow|links)$/,
  /gridPos\.(x|y|w|h)$/,
  /targets\[\]\.refId$/,
  /fieldConfig\.(defaults|overrides)$/,
  /thresholds(\.mode|\.steps(\[\]\.value)?)?$/,
  /properties\[\]\.value(\.steps\[\]\.value)?$/,
  /mappings$/,
  /transformations\[\]\.options$/,
  /options\.legend\.(showLegend|displayMode|asTable|placement)$/,
  /options\.tooltipOptions$/,
];

const all = [...conformanceDashboards(), ...shippedDashboards()];

describe('what is opened and stored again', () => {
  for (const { name, json } of all) {
    it(`${name} is the same but for what is listed`, () => {
      const kept = JSON.parse(JSON.stringify(loadDashboard(json))) as unknown;
      const others = [...new Set(differing(json, kept))].filter(
        (path) => !NORMALISED.some((known) => known.test(path)),
      );
      expect(others).toEqual([]);
      const again = JSON.parse(JSON.stringify(loadDashboard(kept))) as unknown;
      expect(differing(kept, again)).toEqual([]);
    });

    it(`${name} keeps what nobody has heard of`, () => {
      const before = withUnknown(json);
      const after = JSON.parse(JSON.stringify(loadDashboard(before))) as unknown;
      const count = (value: unknown) => JSON.stringify(value).split('"unheardOf":"kept"').length - 1;
      const options = ((before as DashboardJson).templating?.list ?? [])
        .filter(({ type }) => type === 'query')
        .map(({ options: list }) => list ?? []);
      expect(count(before)).toBeGreaterThan(5);
      // Values that a server kept of a query are asked for anew.
      expect(count(after)).toBe(count(before) - count(options));
    });

    it(`${name} is not changed by being shown and edited`, () => {
      const dashboard = loadDashboard(json);
      const scene = toScene(dashboard);
      startEditing(scene);
      expect(panelsOf(scene.state.body, dashboard.panels)).toEqual(dashboard.panels);
      expect(isChanged(scene)).toBe(false);
    });
  }
});

const panel = (id: number, x: number, y: number, w = 12, h = 8): PanelJson => ({
  id,
  type: 'text',
  title: `P${id}`,
  gridPos: { x, y, w, h },
});
const places = (panels: PanelJson[]) =>
  Object.fromEntries([...allPanels(panels)].map(({ id, gridPos: { x, y, w, h } }) => [id, [x, y, w, h]]));

describe('panels', () => {
  it('are added at the top, with a number of their own', () => {
    const { panels, id } = addPanel(
      [panel(7, 0, 0), { ...panel(9, 0, 8, 24, 1), type: 'row', collapsed: true, panels: [panel(11, 0, 9)] }],
      { type: 'stat' },
    );
    expect(id).toBe(12);
    expect(places(panels)).toEqual({
      12: [0, 0, 12, 8],
      7: [0, 8, 12, 8],
      9: [0, 16, 24, 1],
      11: [0, 17, 12, 8],
    });
  });

  it('are duplicated beside themselves where there is room, and below where there is not', () => {
    expect(places(duplicatePanel([panel(1, 0, 0)], 1)?.panels ?? [])).toEqual({
      1: [0, 0, 12, 8],
      2: [12, 0, 12, 8],
    });
    const full = [panel(1, 0, 0), panel(2, 12, 0), panel(3, 0, 8)];
    expect(places(duplicatePanel(full, 1)?.panels ?? [])).toEqual({
      1: [0, 0, 12, 8],
      2: [12, 0, 12, 8],
      4: [0, 8, 12, 8],
      3: [0, 16, 12, 8],
    });
    expect(duplicatePanel(full, 8)).toBeUndefined();
  });

  it('stay the same objects where they are not touched', () => {
    const before = [panel(1, 0, 0), panel(2, 12, 0)];
    const after = replacePanel(before, { ...panel(2, 12, 0), title: 'Other' });
    expect(after[0]).toBe(before[0]);
    expect(after[1]?.title).toBe('Other');
    expect(removePanel(before, 1)).toEqual([before[1]]);
  });

  it('are moved and made larger by the keyboard, within the grid', () => {
    const one = [panel(1, 12, 0)];
    expect(places(nudgePanel(one, 1, { x: 1 }))).toEqual({ 1: [12, 0, 12, 8] });
    expect(places(nudgePanel(one, 1, { x: -1 }))).toEqual({ 1: [11, 0, 12, 8] });
    expect(places(nudgePanel(one, 1, { w: 1 }))).toEqual({ 1: [11, 0, 13, 8] });
    expect(places(nudgePanel([panel(1, 0, 0, 12, 1)], 1, { h: -1 }))).toEqual({ 1: [0, 0, 12, 1] });
    const two = [panel(1, 0, 0, 24, 4), panel(2, 0, 4, 24, 6)];
    expect(places(nudgePanel(two, 1, { y: 1 }))).toEqual({ 1: [0, 6, 24, 4], 2: [0, 0, 24, 6] });
    expect(places(nudgePanel(two, 2, { y: -1 }))).toEqual({ 1: [0, 6, 24, 4], 2: [0, 0, 24, 6] });
  });

  it('rows go with their panels or without them', () => {
    const closed: PanelJson = {
      ...panel(1, 0, 0, 24, 1),
      type: 'row',
      collapsed: true,
      panels: [panel(2, 0, 1)],
    };
    const open: PanelJson = { ...panel(3, 0, 1, 24, 1), type: 'row', collapsed: false };
    const list = [closed, open, panel(4, 0, 2), { ...open, id: 5 }, panel(6, 0, 3)];
    const ids = (panels: PanelJson[]) => [...allPanels(panels)].map(({ id }) => id);
    expect(ids(removeRow(list, 1, true))).toEqual([3, 4, 5, 6]);
    expect(ids(removeRow(list, 1, false))).toEqual([2, 3, 4, 5, 6]);
    expect(ids(removeRow(list, 3, true))).toEqual([1, 2, 5, 6]);
    expect(ids(removeRow(list, 5, true))).toEqual([1, 2, 3, 4]);
    expect(addRow(list, 'R').panels[0]).toMatchObject({
      id: 7,
      type: 'row',
      title: 'R',
      gridPos: { y: 0, w: 24, h: 1 },
    });
  });
});

describe('the grid and the JSON', () => {
  const json = loadDashboard({
    title: 'T',
    panels: [
      panel(1, 0, 0),
      panel(2, 12, 0),
      { ...panel(3, 0, 8, 24, 1), type: 'row', collapsed: false, panels: [] },
      panel(4, 0, 9),
    ],
  });

  it('a panel that was moved in the grid is moved in the JSON, and no other changes', () => {
    const scene = toScene(json);
    const item = scene.state.body.state.children.find(({ state }) => state.key === 'item-2');
    item?.setState({ x: 0, y: 8, width: 24, height: 4 });
    const panels = panelsOf(scene.state.body, json.panels);
    expect(panels.find(({ id }) => id === 2)?.gridPos).toEqual({ x: 0, y: 8, w: 24, h: 4 });
    expect(panels.find(({ id }) => id === 1)).toBe(json.panels[0]);
  });

  it('panels of a row that was closed lie within it', () => {
    const scene = toScene(json);
    const row = scene.state.body.state.children.find(({ state }) => state.key === 'row-3');
    (row as unknown as { onCollapseToggle: () => void }).onCollapseToggle();
    const last = panelsOf(scene.state.body, json.panels).at(-1);
    expect(last).toMatchObject({ id: 3, collapsed: true, panels: [{ id: 4 }] });
  });

  it('panels that stay as they are keep what they show', () => {
    const scene = toScene(json);
    const { body } = scene.state;
    const before = body.state.children.map(({ state }) => state.key);
    const kept = body.state.children.find(({ state }) => state.key === 'item-1');
    const next = replacePanel(removePanel(json.panels, 4), { ...panel(2, 12, 0), title: 'Other' });
    showPanels(body, json.panels, next);
    expect(body.state.children.map(({ state }) => state.key)).toEqual(before);
    expect(body.state.children.find(({ state }) => state.key === 'item-1')).toBe(kept);
    expect(body.state.children.find(({ state }) => state.key === 'item-2')).not.toBe(kept);
    expect(panelsOf(body, next)).toEqual(next);
  });

  it('changes are taken back, made again, and lost when editing ends', () => {
    const scene = toScene(json);
    startEditing(scene);
    commitPanels(scene, removePanel(scene.state.dashboard.panels, 1));
    expect(isChanged(scene)).toBe(true);
    undo(scene);
    expect([isChanged(scene), scene.state.body.state.children.length]).toEqual([false, 3]);
    redo(scene);
    expect([isChanged(scene), scene.state.body.state.children.length]).toEqual([true, 2]);
    stopEditing(scene);
    expect([isChanged(scene), scene.state.body.state.children.length]).toEqual([false, 3]);
  });
});

describe('JSON', () => {
  it('is changed by paths, and never in its place', () => {
    const before = { a: { b: 1 }, c: [1] };
    const after = setIn(before, 'a.d.e', 2);
    expect(after).toEqual({ a: { b: 1, d: { e: 2 } }, c: [1] });
    expect([before.a, after.c === before.c]).toEqual([{ b: 1 }, true]);
    expect(setIn(after, 'a.b', undefined)).toEqual({ a: { d: { e: 2 } }, c: [1] });
    expect(getIn(after, 'a.d.e')).toBe(2);
  });

  it('is the same where only what JSON cannot say is different', () => {
    expect(isSame({ a: -Infinity, b: undefined }, { a: null })).toBe(true);
    expect(isSame({ a: 1 }, { a: 1, b: 0 })).toBe(false);
    expect(isSame([1, 2], [2, 1])).toBe(false);
  });

  it('things of a list are put elsewhere', () => {
    expect([moved([1, 2, 3], 0, 2), moved([1, 2, 3], 2, 0), moved([1], 0, 1)]).toEqual([
      [2, 3, 1],
      [3, 1, 2],
      [1],
    ]);
  });
});
