import { BusEventWithPayload } from '@grafana/data';
import { getAppEvents } from '@grafana/runtime';
import type { VizPanel } from '@grafana/scenes';
import { useEffect, useState } from 'react';

export type InspectTab = 'data' | 'query' | 'json';

/** A panel that is looked into, and what of it. */
export interface Inspected {
  panel: VizPanel;
  tab: InspectTab;
}

class InspectEvent extends BusEventWithPayload<Inspected> {
  static readonly type = 'bartizan-inspect';
}

/** Opens the drawer that shows what is behind a panel. */
export function openInspector(panel: VizPanel, tab: InspectTab): void {
  getAppEvents().publish(new InspectEvent({ panel, tab }));
}

/** The panel that is looked into, if one is. */
export function useInspected() {
  const [inspected, setInspected] = useState<Inspected>();
  useEffect(() => {
    const subscription = getAppEvents().subscribe(InspectEvent, ({ payload }) => setInspected(payload));
    return () => subscription.unsubscribe();
  }, []);
  return [inspected, setInspected] as const;
}
