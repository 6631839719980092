/** Panels as they are looked at: alone, from inside, by what another has found. */
import { FieldType, createTheme, toDataFrame } from '@grafana/data';
import {
  CustomVariable,
  SceneDataNode,
  SceneVariableSet,
  VizPanel,
  sceneGraph,
  type SceneGridLayout,
} from '@grafana/scenes';
import { firstValueFrom, skipWhile } from 'rxjs';
import { expect, it } from 'vitest';
import { DashboardDatasource } from '~/datasources/dashboard';
import { initMacros } from '~/grafana-host/macros';
import { initServices } from '~/grafana-host/services';
import { inspectedFrames, storedPanel } from './inspectData';
import { loadDashboard } from './load';
import { keepAwake } from './PanelAlone';
import { numberOfPanel } from './panelKey';
import { readTime, writeTime } from './timeClipboard';
import { toScene } from './toScene';

initServices();

const dashboard = loadDashboard({
  title: 'Two panels',
  uid: 'two',
  schemaVersion: 42,
  templating: { list: [{ type: 'custom', name: 'job', query: 'a,b', multi: true, current: { value: ['a', 'b'] } }] },
  panels: [
    { id: 3, type: 'timeseries', title: 'One', targets: [{ expr: 'up' }], gridPos: { x: 0, y: 0, w: 8, h: 8 } },
    { id: 4, type: 'text', title: 'Of $job', repeat: 'job', gridPos: { x: 0, y: 8, w: 8, h: 8 } },
  ],
}); // prettier-ignore

it('around a panel that is alone all that variables have to reach is awake', async () => {
  const scene = toScene(dashboard);
  const leaveScene = scene.activate();
  const body = scene.state.body as SceneGridLayout;
  const told: (string | undefined)[] = [];
  const leave = keepAwake(scene, 'panel-4-1', (panel) => told.push(panel?.state.key));
  expect(body.isActive && body.state.children.every((child) => child.isActive)).toBe(true);
  // The copy is made when the values are known.
  const variable = sceneGraph.lookupVariable('job', scene);
  expect(variable).toBeInstanceOf(CustomVariable);
  await expect.poll(() => told.at(-1)).toBe('panel-4-1');
  leave();
  expect(body.isActive).toBe(false);
  leaveScene();
});

it('frames that are looked into know how each value is written', () => {
  const data = toDataFrame({
    fields: [{ name: 'size', type: FieldType.number, values: [2048], config: {} }],
  });
  const panel = new VizPanel({
    pluginId: 'table',
    $data: new SceneDataNode({ data: { series: [data], state: 'Done', timeRange: {} } as never }),
    $variables: new SceneVariableSet({ variables: [] }),
  });
  for (const isFormatted of [true, false]) {
    const [frame] = inspectedFrames(panel, { isTransformed: true, isFormatted }, createTheme());
    expect(frame?.fields.map(({ display }) => typeof display)).toEqual(['function']);
  }
});

it('the JSON of a panel is the one that is kept', () => {
  const panel = toScene(dashboard).findPanel('panel-3') as VizPanel;
  expect(storedPanel(panel, numberOfPanel('panel-3'), dashboard)).toMatchObject({
    id: 3,
    targets: [{ expr: 'up', refId: 'A' }],
    gridPos: { w: 8 },
  });
  expect(['panel-12-3', 'panel-12', '12'].map(numberOfPanel)).toEqual([12, 12, 12]);
});

it('a panel shows what another has found', async () => {
  const found = toDataFrame({ refId: 'X', fields: [{ name: 'v', type: FieldType.number, values: [7] }] });
  const source = new VizPanel({
    key: 'panel-1',
    $data: new SceneDataNode({ data: { series: [found], state: 'Done', timeRange: {} } as never }),
  });
  const scene = toScene(dashboard);
  (scene.state.body as SceneGridLayout).state.children[0]?.setState({ body: source } as never);
  const ask = (panelId: number, from: unknown) =>
    firstValueFrom(
      new DashboardDatasource({} as never)
        .query({
          targets: [{ refId: 'A', panelId }],
          scopedVars: { __sceneObject: { value: { valueOf: () => from } } },
        } as never)
        .pipe(skipWhile(({ state }) => state === 'Loading')),
    );
  const answer = await ask(1, scene);
  expect(answer.data[0]).toMatchObject({ refId: 'A', fields: [{ values: [7] }] });
  expect((await ask(9, scene)).errors?.[0]?.message).toContain('no panel 9');
  // It would wait for itself.
  expect((await ask(1, source)).errors).toHaveLength(1);
});

it('texts may name the dashboard', () => {
  initMacros();
  const scene = toScene(dashboard);
  expect(sceneGraph.interpolate(scene, '${__dashboard.uid} ${__dashboard} ${__org.name}')).toBe(
    'two Two panels Main Org.',
  );
});

it('only what is a time is taken for one', () => {
  expect(readTime(writeTime({ from: 'now-3h', to: 'now' }))).toEqual({ from: 'now-3h', to: 'now' });
  expect(['', '{}', '{"from":"now-3h"}', '{"from":"x","to":"y"}', '[1]'].map(readTime)).toEqual(
    [undefined, undefined, undefined, undefined, undefined], // prettier-ignore
  );
});
