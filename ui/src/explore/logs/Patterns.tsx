import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { Alert, Button, Input, useStyles2 } from '@grafana/ui';
import { useCallback, useState } from 'react';
import type { LokiClient, Pattern } from '~/api/loki';
import { count } from '~/app/format';
import { useLoad } from '~/app/useLoad';
import { Sparkline } from '../Sparkline';
import type { PaneScene } from '../scene';
import type { ExploreQuery } from '../url';
import { selectorOf } from './query';

interface Props {
  scene: PaneScene;
  client: LokiClient;
  queries: ExploreQuery[];
  onPattern: (pattern: string, isWanted: boolean) => void;
}

/** Points of the small curves. */
const POINTS = 60;
const SHOWN = 100;

interface Counted extends Pattern {
  lines: number;
  curve: number[];
}

/** What lines have in common, most first: what is new or too much is seen without reading them. */
export function Patterns({ scene, client, queries, onPattern }: Props) {
  const styles = useStyles2(getStyles);
  const { value: time } = scene.state.$timeRange.useState();
  const [filter, setFilter] = useState('');
  const selector = selectorOf(queries[0]?.expr ?? '');
  const [startMs, endMs] = [time.from.valueOf(), time.to.valueOf()];
  const load = useCallback(
    () => (selector ? countedPatterns(client, selector, startMs, endMs) : Promise.resolve([])),
    [client, selector, startMs, endMs],
  );
  const { value: patterns, error, loading } = useLoad(load);
  if (error) return <Alert severity="error" title={error.message} />;
  const all = (patterns ?? []).reduce((sum, { lines }) => sum + lines, 0);
  const shown = (patterns ?? []).filter(({ pattern }) =>
    pattern.toLowerCase().includes(filter.toLowerCase()),
  );
  if (!loading && !all)
    return <p className={styles.note}>No patterns: they are found in lines that came recently.</p>;
  return (
    <div className={styles.patterns}>
      <Input
        aria-label="Find in patterns"
        placeholder="Find in patterns"
        width={40}
        value={filter}
        onChange={(event) => setFilter(event.currentTarget.value)}
      />
      <div className={styles.scroller} role="region" aria-label="Patterns" tabIndex={0}>
        <table className={styles.table} aria-label="Patterns of lines">
          <thead>
            <tr>
              <th scope="col">Over time</th>
              <th scope="col">Lines</th>
              <th scope="col">Share</th>
              <th scope="col">Level</th>
              <th scope="col">Pattern</th>
              <th scope="col" aria-label="Actions" />
            </tr>
          </thead>
          <tbody>
            {shown.slice(0, SHOWN).map(({ pattern, level, lines, curve }) => (
              <tr key={`${level} ${pattern}`}>
                <td>
                  <Sparkline values={curve} width={140} height={24} />
                </td>
                <td className={styles.number}>{count(lines)}</td>
                <td className={styles.number}>{((100 * lines) / all).toFixed(1)} %</td>
                <td>{level}</td>
                <td className={styles.pattern}>{pattern}</td>
                <td className={styles.actions}>
                  <Button size="sm" variant="secondary" fill="text" onClick={() => onPattern(pattern, true)}>
                    Include
                  </Button>
                  <Button size="sm" variant="secondary" fill="text" onClick={() => onPattern(pattern, false)}>
                    Exclude
                  </Button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {shown.length > SHOWN && (
        <p className={styles.note}>
          {SHOWN} of {count(shown.length)} patterns are shown.
        </p>
      )}
    </div>
  );
}

async function countedPatterns(
  client: LokiClient,
  selector: string,
  startMs: number,
  endMs: number,
): Promise<Counted[]> {
  const stepS = Math.max(10, Math.ceil((endMs - startMs) / 1000 / POINTS));
  const found = await client.patterns(selector, { startMs, endMs }, stepS);
  return found
    .map((pattern) => ({
      ...pattern,
      lines: pattern.samples.reduce((sum, [, lines]) => sum + lines, 0),
      curve: curveOf(pattern, startMs / 1000, stepS),
    }))
    .sort((a, b) => b.lines - a.lines);
}

/** Points over all of the time shown, so that curves can be compared. */
function curveOf({ samples }: Pattern, startS: number, stepS: number): number[] {
  const curve = new Array<number>(POINTS).fill(0);
  for (const [atS, lines] of samples) {
    const point = Math.min(POINTS - 1, Math.max(0, Math.floor((atS - startS) / stepS)));
    curve[point] = (curve[point] ?? 0) + lines;
  }
  return curve;
}

const getStyles = (theme: GrafanaTheme2) => ({
  patterns: css({ display: 'flex', flexDirection: 'column', gap: theme.spacing(1) }),
  scroller: css({
    background: theme.colors.background.primary,
    border: `1px solid ${theme.colors.border.weak}`,
    maxHeight: '60vh',
    overflow: 'auto',
  }),
  table: css({
    borderCollapse: 'collapse',
    width: '100%',
    'th, td': { borderBottom: `1px solid ${theme.colors.border.weak}`, padding: theme.spacing(0.5, 1) },
    th: { color: theme.colors.text.secondary, fontWeight: 400, textAlign: 'left' },
    'tbody tr:hover': { background: theme.colors.action.hover },
  }),
  number: css({ fontVariantNumeric: 'tabular-nums', textAlign: 'right', whiteSpace: 'nowrap' }),
  pattern: css({
    fontFamily: theme.typography.fontFamilyMonospace,
    fontSize: theme.typography.bodySmall.fontSize,
    overflowWrap: 'anywhere',
    width: '100%',
  }),
  actions: css({ whiteSpace: 'nowrap' }),
  note: css({ color: theme.colors.text.secondary, padding: theme.spacing(1) }),
});
