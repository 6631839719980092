import { css } from '@emotion/css';
import { dateTimeFormat, textUtil, type DataFrame, type GrafanaTheme2 } from '@grafana/data';
import { Portal, useStyles2, useTheme2, type UPlotConfigBuilder } from '@grafana/ui';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';
import type uPlot from 'uplot';

interface Props {
  config: UPlotConfigBuilder;
  annotations: DataFrame[];
  timeZone: string;
}

export interface Annotation {
  timeMs: number;
  timeEndMs: number;
  title: string;
  text: string;
  tags: string[];
  color: string;
}

/** Events as annotation frames hold them; exemplars are not events. */
export function readAnnotations(frames: DataFrame[]): Annotation[] {
  const events: Annotation[] = [];
  for (const frame of frames) {
    if (frame.meta?.custom?.resultType === 'exemplar') continue;
    const column = (name: string): unknown[] =>
      frame.fields.find((field) => field.name === name)?.values ?? [];
    const [time, end, title, text, tags, color] = ['time', 'timeEnd', 'title', 'text', 'tags', 'color'].map(
      column,
    );
    for (let row = 0; row < frame.length; row++) {
      const timeMs = Number(time?.[row]);
      events.push({
        timeMs,
        timeEndMs: Number(end?.[row] || timeMs),
        title: String(title?.[row] ?? ''),
        text: String(text?.[row] ?? ''),
        tags: (tags?.[row] as string[] | undefined) ?? [],
        color: String(color?.[row] ?? '#5794f2'),
      });
    }
  }
  return events;
}

/** Draws events over a graph, lines and shaded regions, with marks below it that tell about them. */
export function AnnotationMarkers({ config, annotations, timeZone }: Props) {
  const theme = useTheme2();
  const [plot, setPlot] = useState<uPlot>();
  const [drawn, setDrawn] = useState(0);
  const read = useMemo(() => readAnnotations(annotations), [annotations]);
  const events = useRef(read);
  events.current = read;
  const drawnEvents = useRef<Annotation[]>([]);

  useLayoutEffect(() => {
    config.addHook('init', (current) => {
      drawnEvents.current = [];
      setPlot(current);
    });
    config.addHook('draw', (current) => {
      for (const event of events.current) draw(current, event, theme);
      // Where there was nothing and is nothing, there is nothing to place anew.
      if (events.current.length || drawnEvents.current.length) setDrawn((count) => count + 1);
      drawnEvents.current = events.current;
    });
    // Hooks stay with the configuration, which is made anew when what is drawn changes its shape.
  }, [config, theme]);

  // Events come in new frames with every answer, and after every change of options: to draw all series again for the same ones
  // would double what each of these costs.
  useEffect(() => {
    if (plot && JSON.stringify(drawnEvents.current) !== JSON.stringify(read)) plot.redraw(false);
  }, [plot, read]);

  if (!plot || drawn === 0) return null;
  return read.map((event, index) => <Mark key={index} event={event} plot={plot} timeZone={timeZone} />);
}

function draw(plot: uPlot, { timeMs, timeEndMs, color }: Annotation, theme: GrafanaTheme2): void {
  const { ctx, bbox } = plot;
  const from = Math.round(plot.valToPos(timeMs, 'x', true));
  const to = Math.round(plot.valToPos(timeEndMs, 'x', true));
  if (to < bbox.left || from > bbox.left + bbox.width) return;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  const named = theme.visualization.getColorByName(color);
  ctx.strokeStyle = named;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
  for (const x of new Set([from, to])) {
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  if (to > from) {
    ctx.globalAlpha = 0.1;
    ctx.fillStyle = named;
    ctx.fillRect(from, bbox.top, to - from, bbox.height);
  }
  ctx.restore();
}

function Mark({ event, plot, timeZone }: { event: Annotation; plot: uPlot; timeZone: string }) {
  const styles = useStyles2(getStyles);
  const [hovered, setHovered] = useState<{ x: number; y: number }>();
  const left = plot.valToPos(event.timeMs, 'x');
  const width = Math.max(6, plot.valToPos(event.timeEndMs, 'x') - left);
  const { width: room, height } = plot.over.getBoundingClientRect();
  if (left + width < 0 || left > room) return null;
  const offset = plot.over.offsetLeft;
  return (
    <>
      <div
        className={styles.mark}
        data-testid="annotation"
        style={{
          background: event.color,
          left: offset + left - (width === 6 ? 3 : 0),
          top: plot.over.offsetTop + height,
          width,
        }}
        onMouseEnter={({ clientX, clientY }) => setHovered({ x: clientX, y: clientY })}
        onMouseLeave={() => setHovered(undefined)}
      />
      {hovered && (
        <Portal>
          <div className={styles.about} style={{ left: hovered.x, top: hovered.y - 8 }}>
            <div className={styles.time}>{dateTimeFormat(event.timeMs, { timeZone })}</div>
            <strong>{event.title}</strong>
            {/* By its text: the browser is never given what would be refused. */}
            <div dangerouslySetInnerHTML={{ __html: textUtil.sanitizeTextPanelContent(event.text) }} />
            <div>{event.tags.join(' ')}</div>
          </div>
        </Portal>
      )}
    </>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  mark: css({ borderRadius: 2, cursor: 'pointer', height: 6, position: 'absolute', zIndex: 2 }),
  time: css({ color: theme.colors.text.secondary, fontSize: theme.typography.bodySmall.fontSize }),
  about: css({
    background: theme.colors.background.elevated,
    border: `1px solid ${theme.colors.border.weak}`,
    borderRadius: theme.shape.radius.default,
    boxShadow: theme.shadows.z3,
    maxWidth: 400,
    padding: theme.spacing(1),
    position: 'fixed',
    transform: 'translate(-50%, -100%)',
    zIndex: theme.zIndex.tooltip,
  }),
});
