import { css } from '@emotion/css';
import { dateTimeFormat, type DataFrame, type GrafanaTheme2 } from '@grafana/data';
import { Portal, useStyles2, type UPlotConfigBuilder } from '@grafana/ui';
import { useEffect, useLayoutEffect, useState } from 'react';
import type uPlot from 'uplot';
import { besideHref } from '~/explore/jump';

export const exemplarFrames = (annotations: DataFrame[] = []) =>
  annotations.filter(({ meta }) => meta?.custom?.resultType === 'exemplar');

interface Exemplar {
  timeMs: number;
  value: number;
  labels: [name: string, value: string][];
}

function read(frames: DataFrame[]): Exemplar[] {
  return frames.flatMap(({ fields, length }) =>
    Array.from({ length }, (_, row) => {
      const [time, value, ...labels] = fields;
      return {
        timeMs: Number(time?.values[row]),
        value: Number(value?.values[row]),
        labels: labels
          .map(({ name, values }): [string, string] => [name, String(values[row] ?? '')])
          .filter(([, text]) => text !== ''),
      };
    }),
  );
}

/** Single observations, as diamonds at their time and value, that name the trace they were seen in. */
export function Exemplars({
  config,
  frames,
  timeZone,
}: {
  config: UPlotConfigBuilder;
  frames: DataFrame[];
  timeZone: string;
}) {
  const [plot, setPlot] = useState<uPlot>();
  const [, setDrawn] = useState(0);
  useLayoutEffect(() => {
    config.addHook('init', setPlot);
    config.addHook('draw', () => setDrawn((count) => count + 1));
  }, [config]);
  if (!plot) return null;
  // They are measured on the first scale that is not time.
  const scale = plot.series[1]?.scale ?? 'y';
  return read(frames).map((exemplar, index) => (
    <Mark key={index} exemplar={exemplar} plot={plot} scale={scale} timeZone={timeZone} />
  ));
}

interface MarkProps {
  exemplar: Exemplar;
  plot: uPlot;
  scale: string;
  timeZone: string;
}

/** Shows what it is while it is pointed at, and stays when it is clicked. */
function Mark({ exemplar, plot, scale, timeZone }: MarkProps) {
  const styles = useStyles2(getStyles);
  const [shown, setShown] = useState<{ x: number; y: number; isPinned: boolean }>();
  const left = plot.valToPos(exemplar.timeMs, 'x');
  const height = plot.over.clientHeight;
  const top = Math.max(0, Math.min(height, plot.valToPos(exemplar.value, scale)));
  useEffect(() => {
    if (!shown?.isPinned) return undefined;
    const leave = (event: KeyboardEvent) => event.key === 'Escape' && setShown(undefined);
    document.addEventListener('keydown', leave);
    return () => document.removeEventListener('keydown', leave);
  }, [shown?.isPinned]);
  if (!(left >= 0 && left <= plot.over.clientWidth)) return null;
  return (
    <>
      <button
        type="button"
        className={styles.mark}
        aria-label={`Exemplar of ${exemplar.value}`}
        aria-expanded={shown?.isPinned ?? false}
        style={{ left: plot.over.offsetLeft + left - 4, top: plot.over.offsetTop + top - 4 }}
        onMouseEnter={({ clientX: x, clientY: y }) => !shown?.isPinned && setShown({ x, y, isPinned: false })}
        onMouseLeave={() => !shown?.isPinned && setShown(undefined)}
        // The graph would take it for the beginning of a zoom.
        onMouseDown={(event) => event.stopPropagation()}
        onClick={(event) => {
          const { x, y, width } = event.currentTarget.getBoundingClientRect();
          event.stopPropagation();
          setShown(shown?.isPinned ? undefined : { x: x + width / 2, y, isPinned: true });
        }}
      />
      {shown && (
        <Portal>
          <About
            exemplar={exemplar}
            timeZone={timeZone}
            at={shown}
            onClose={shown.isPinned ? () => setShown(undefined) : undefined}
          />
        </Portal>
      )}
    </>
  );
}

interface AboutProps {
  exemplar: Exemplar;
  timeZone: string;
  at: { x: number; y: number };
  onClose: (() => void) | undefined;
}

/** Labels of exemplars that name a trace. */
const TRACE = /^(?:trace_?id|trace)$/i;

function About({ exemplar, timeZone, at, onClose }: AboutProps) {
  const styles = useStyles2(getStyles);
  const trace = exemplar.labels.find(([name]) => TRACE.test(name))?.[1];
  // Where there is no room above, it is shown below.
  const isBelow = at.y < window.innerHeight / 2;
  const transform = `translate(${at.x < window.innerWidth / 2 ? '0' : '-100%'}, ${isBelow ? '16px' : '-100%'})`;
  return (
    <div
      className={styles.about}
      role="dialog"
      aria-label="Exemplar"
      style={{ left: at.x, top: at.y - 8, transform, pointerEvents: onClose ? 'auto' : 'none' }}
    >
      <table>
        <tbody>
          <tr>
            <th>{dateTimeFormat(exemplar.timeMs, { timeZone })}</th>
            <td>{exemplar.value}</td>
          </tr>
          {exemplar.labels.map(([name, value]) => (
            <tr key={name}>
              <th>{name}</th>
              <td>{value}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {onClose && (
        <div className={styles.actions}>
          <a className={styles.link} href={besideHref(Object.fromEntries(exemplar.labels), trace)}>
            {trace ? 'Logs of this trace' : 'Logs'}
          </a>
          <button type="button" className={styles.link} onClick={onClose}>
            Close
          </button>
        </div>
      )}
    </div>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  mark: css({
    border: 0,
    padding: 0,
    background: theme.visualization.getColorByName('green'),
    cursor: 'pointer',
    height: 8,
    position: 'absolute',
    transform: 'rotate(45deg)',
    width: 8,
    zIndex: 2,
  }),
  about: css({
    background: theme.colors.background.elevated,
    border: `1px solid ${theme.colors.border.weak}`,
    boxShadow: theme.shadows.z3,
    maxHeight: '50vh',
    overflow: 'auto',
    position: 'fixed',
    zIndex: theme.zIndex.tooltip,
    'th, td': { padding: theme.spacing(0.25, 1), textAlign: 'left' },
    th: { color: theme.colors.text.secondary, fontWeight: 400 },
  }),
  actions: css({ display: 'flex', gap: theme.spacing(2), padding: theme.spacing(0.5, 1) }),
  link: css({ background: 'none', border: 0, color: theme.colors.text.link, padding: 0 }),
});
