import { FieldType, toDataFrame, type DataFrame } from '@grafana/data';
import type { UPlotConfigBuilder } from '@grafana/ui';
import { act, createElement } from 'react';
import { createRoot } from 'react-dom/client';
import { beforeAll, expect, it, vi } from 'vitest';
import { AnnotationMarkers } from './AnnotationMarkers';

beforeAll(() => {
  Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });
});

const events = (...timesMs: number[]): DataFrame[] => [
  toDataFrame({
    fields: [
      { name: 'time', type: FieldType.time, values: timesMs },
      { name: 'title', type: FieldType.string, values: timesMs.map(() => 'a restart') },
    ],
  }),
];

/** A plot that counts how often it is drawn, and draws at once. */
function plotted() {
  const hooks: Record<string, ((plot: unknown) => void)[]> = {};
  const call = (name: string) => hooks[name]?.forEach((hook) => hook(plot));
  const over = document.createElement('div');
  over.getBoundingClientRect = () => ({ width: 500, height: 100 }) as DOMRect;
  const ctx = new Proxy({}, { get: () => vi.fn(), set: () => true });
  const redraw = vi.fn(() => call('draw'));
  const bbox = { left: 0, top: 0, width: 500, height: 100 };
  const plot = { over, ctx, bbox, redraw, valToPos: (value: number) => value };
  const config = {
    addHook: (name: string, hook: (plot: unknown) => void) => (hooks[name] ??= []).push(hook),
  } as unknown as UPlotConfigBuilder;
  return { config, redraw, call };
}

it('a graph is drawn anew for other events only, not for the same in new frames', async () => {
  vi.stubGlobal('devicePixelRatio', 1);
  const { config, redraw, call } = plotted();
  const place = document.createElement('div');
  const root = createRoot(place);
  const show = (annotations: DataFrame[]) =>
    act(async () => root.render(createElement(AnnotationMarkers, { config, annotations, timeZone: 'utc' })));
  const marks = () => place.querySelectorAll('[data-testid="annotation"]').length;

  await show([]);
  await act(async () => {
    call('init');
    call('draw');
  });
  await show([]);
  expect(redraw).toHaveBeenCalledTimes(0);

  await show(events(100, 200));
  expect([redraw.mock.calls.length, marks()]).toEqual([1, 2]);
  await show(events(100, 200));
  expect(redraw).toHaveBeenCalledTimes(1);

  await show(events(100, 300));
  expect([redraw.mock.calls.length, marks()]).toEqual([2, 2]);
  await show([]);
  expect([redraw.mock.calls.length, marks()]).toEqual([3, 0]);
  await act(async () => root.unmount());
});
