import { css } from '@emotion/css';
import type { AbsoluteTimeRange, GrafanaTheme2 } from '@grafana/data';
import { useStyles2 } from '@grafana/ui';
import { useEffect, useRef, useState, type MouseEvent, type ReactNode } from 'react';
import { position, valueAt, type Scale } from './scale';
import { useSharedTime } from './useSharedTime';

interface Props {
  /** Milliseconds to pixels. */
  scale: Scale;
  /** How far down times are drawn, in pixels. */
  bottom: number;
  onChangeTimeRange: (range: AbsoluteTimeRange) => void;
  children: ReactNode;
}

/** A hand that only clicks moves less than this. */
const DRAG_MIN_PX = 5;

/** The times between two pixels, in order and within what is shown; nothing where the two are next to each other. */
export function brushed(scale: Scale, start: number, end: number): AbsoluteTimeRange | undefined {
  if (Math.abs(end - start) < DRAG_MIN_PX) return undefined;
  const within = (pixel: number) => Math.max(scale.from, Math.min(scale.to, pixel));
  const [from, to] = [start, end].sort((a, b) => a - b).map((pixel) => valueAt(scale, within(pixel)));
  return from === undefined || to === undefined || !(to > from)
    ? undefined
    : { from: Math.round(from), to: Math.round(to) };
}

/** A drawing over time of which a part can be drawn up to be shown alone, with the line that panels share under the pointer. */
export function TimeBrush({ scale, bottom, onChangeTimeRange, children }: Props) {
  const styles = useStyles2(getStyles);
  const element = useRef<HTMLDivElement>(null);
  const [drag, setDrag] = useState<{ start: number; end: number }>();
  const [shared, tell] = useSharedTime();
  const latest = useRef({ scale, onChangeTimeRange });
  latest.current = { scale, onChangeTimeRange };
  const pixelOf = (clientX: number) => clientX - (element.current?.getBoundingClientRect().left ?? 0);
  const start = drag?.start;

  useEffect(() => {
    if (start === undefined) return undefined;
    const move = ({ clientX }: globalThis.MouseEvent) => setDrag({ start, end: pixelOf(clientX) });
    const drop = ({ clientX }: globalThis.MouseEvent) => {
      setDrag(undefined);
      const range = brushed(latest.current.scale, start, pixelOf(clientX));
      if (range) latest.current.onChangeTimeRange(range);
    };
    window.addEventListener('mousemove', move);
    window.addEventListener('mouseup', drop);
    return () => {
      window.removeEventListener('mousemove', move);
      window.removeEventListener('mouseup', drop);
    };
  }, [start]);

  const press = (event: MouseEvent) => {
    const at = pixelOf(event.clientX);
    if (event.button !== 0 || at < scale.from) return;
    // Otherwise text would be marked.
    event.preventDefault();
    setDrag({ start: at, end: at });
  };
  const line = shared === undefined ? undefined : position(scale, shared);
  return (
    <div
      ref={element}
      className={styles.brush}
      onMouseDown={press}
      onMouseMove={({ clientX }) => {
        const at = pixelOf(clientX);
        tell(at >= scale.from && at <= scale.to ? valueAt(scale, at) : undefined);
      }}
      onMouseLeave={() => tell(undefined)}
    >
      {children}
      {line !== undefined && line >= scale.from && line <= scale.to && (
        <div className={styles.line} style={{ height: bottom, left: line }} />
      )}
      {drag && Math.abs(drag.end - drag.start) >= DRAG_MIN_PX && (
        <div
          className={styles.part}
          data-testid="brush"
          style={{
            height: bottom,
            left: Math.max(scale.from, Math.min(drag.start, drag.end)),
            width: Math.abs(
              Math.min(scale.to, Math.max(drag.start, drag.end)) -
                Math.max(scale.from, Math.min(drag.start, drag.end)),
            ),
          }}
        />
      )}
    </div>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  brush: css({ cursor: 'crosshair', position: 'relative' }),
  line: css({
    borderLeft: `1px dashed ${theme.colors.text.secondary}`,
    pointerEvents: 'none',
    position: 'absolute',
    top: 0,
  }),
  part: css({
    background: theme.colors.action.disabledBackground,
    border: `1px solid ${theme.colors.border.strong}`,
    pointerEvents: 'none',
    position: 'absolute',
    top: 0,
  }),
});
