import { css } from '@emotion/css';
import { dateTimeFormat, type DataFrame, type GrafanaTheme2 } from '@grafana/data';
import { Portal, useStyles2, type UPlotConfigBuilder } from '@grafana/ui';
import { useLayoutEffect, useState } from 'react';
import type uPlot from 'uplot';

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

function Mark({
  exemplar,
  plot,
  scale,
  timeZone,
}: {
  exemplar: Exemplar;
  plot: uPlot;
  scale: string;
  timeZone: string;
}) {
  const styles = useStyles2(getStyles);
  const [hovered, setHovered] = useState<{ x: number; y: number }>();
  const left = plot.valToPos(exemplar.timeMs, 'x');
  const height = plot.over.clientHeight;
  const top = Math.max(0, Math.min(height, plot.valToPos(exemplar.value, scale)));
  if (!(left >= 0 && left <= plot.over.clientWidth)) return null;
  return (
    <>
      <div
        className={styles.mark}
        style={{ left: plot.over.offsetLeft + left - 4, top: plot.over.offsetTop + top - 4 }}
        onMouseEnter={({ clientX, clientY }) => setHovered({ x: clientX, y: clientY })}
        onMouseLeave={() => setHovered(undefined)}
      />
      {hovered && (
        <Portal>
          <table className={styles.about} style={{ left: hovered.x, top: hovered.y - 8 }}>
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
        </Portal>
      )}
    </>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  mark: css({
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
    position: 'fixed',
    transform: 'translate(-50%, -100%)',
    zIndex: theme.zIndex.tooltip,
    'th, td': { padding: theme.spacing(0.25, 1) },
  }),
});
