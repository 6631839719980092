import { DashboardCursorSync, DataHoverClearEvent, DataHoverEvent } from '@grafana/data';
import { usePanelContext } from '@grafana/ui';
import { useCallback, useEffect, useState } from 'react';

/** The time that is pointed at on another panel, and the way to tell others what is pointed at here. */
export function useSharedTime(): [timeMs: number | undefined, tell: (timeMs: number | undefined) => void] {
  const { eventBus, sync } = usePanelContext();
  const [timeMs, setTimeMs] = useState<number>();
  useEffect(() => {
    const isShared = () => (sync?.() ?? DashboardCursorSync.Off) !== DashboardCursorSync.Off;
    const hovering = eventBus.getStream(DataHoverEvent).subscribe(({ origin, payload }) => {
      // Entries of legends are hovered too, and are at no time.
      const { time } = (payload.point ?? {}) as { time?: number | null };
      if (origin !== eventBus && isShared()) setTimeMs(time ?? undefined);
    });
    const leaving = eventBus.getStream(DataHoverClearEvent).subscribe(() => setTimeMs(undefined));
    return () => {
      hovering.unsubscribe();
      leaving.unsubscribe();
    };
  }, [eventBus, sync]);
  const tell = useCallback(
    (time: number | undefined) =>
      eventBus.publish(
        time === undefined ? new DataHoverClearEvent() : new DataHoverEvent({ point: { time } }),
      ),
    [eventBus],
  );
  return [timeMs, tell];
}
