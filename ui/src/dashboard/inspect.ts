import { BusEventWithPayload } from '@grafana/data';
import { getAppEvents } from '@grafana/runtime';
import type { VizPanel } from '@grafana/scenes';

export type InspectTab = 'data' | 'query' | 'json';

export class InspectEvent extends BusEventWithPayload<{ panel: VizPanel; tab: InspectTab }> {
  static readonly type = 'bartizan-inspect';
}

/** Opens the drawer that shows what is behind a panel. */
export function openInspector(panel: VizPanel, tab: InspectTab): void {
  getAppEvents().publish(new InspectEvent({ panel, tab }));
}
