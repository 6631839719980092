import { css, cx } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { Button, useStyles2 } from '@grafana/ui';
import { useEffect, useLayoutEffect, useMemo, useRef } from 'react';
import type { LokiClient } from '~/api/loki';
import { count } from '~/app/format';
import { loadPreferences } from '~/app/preferences';
import { LogList } from '~/panels/logs/LogList';
import { commonLabels } from '~/panels/logs/lines';
import { searchedBy } from '~/panels/logs/marks';
import { Spacer, Toolbar } from '../Toolbar';
import type { View } from '../view';
import { LineToggles } from './LineToggles';
import { KEPT_MAX } from './tail';
import { useTail, type TailState } from './useTail';

interface Props {
  client: LokiClient;
  query: string;
  view: View;
  onView: (changed: Partial<View>) => void;
  onStop: () => void;
}

const TOLD: Record<TailState, string> = {
  connecting: 'Connecting',
  open: 'Live',
  paused: 'Paused',
  lost: 'Connection lost, trying again',
};
/** This near to the end, in pixels, is at the end. */
const NEAR = 60;

/** Lines as they are stored, newest last, as terminals show them. Who scrolls up pauses it. */
export function Live({ client, query, view, onView, onStop }: Props) {
  const styles = useStyles2(getStyles);
  const { kept, state, reason, waiting, pause, resume, clear } = useTail(client, query);
  const list = useRef<HTMLDivElement>(null);
  const searched = useMemo(() => searchedBy([query]), [query]);
  const hiddenLabels = useMemo(
    () => (view.uniqueLabels ? commonLabels(kept.lines) : {}),
    [kept.lines, view.uniqueLabels],
  );
  const options = useMemo(
    () => ({
      showTime: view.time,
      showLabels: view.uniqueLabels,
      hiddenLabels,
      wrapLogMessage: view.wrap,
      prettifyLogMessage: view.prettify,
      enableLogDetails: true,
      columns: view.columns,
    }),
    [view, hiddenLabels],
  );
  const isPaused = state === 'paused';
  useStickToEnd(list, kept.lines.length ? kept.came : 0, isPaused);
  usePauseOnScrollUp(list, pause);
  return (
    <section className={styles.live} aria-label="Live logs">
      <Toolbar label="Live logs">
        <span className={cx(styles.state, styles[state])} role="status">
          <span className={styles.dot} /> {TOLD[state]}
          {reason ? `: ${reason}` : ''}
        </span>
        <Button
          size="sm"
          variant="secondary"
          icon={isPaused ? 'play' : 'pause'}
          onClick={isPaused ? resume : pause}
        >
          {isPaused ? (waiting ? `Resume, ${count(waiting)} new` : 'Resume') : 'Pause'}
        </Button>
        <Button size="sm" variant="secondary" icon="trash-alt" onClick={clear}>
          Clear
        </Button>
        <Button size="sm" variant="destructive" fill="outline" onClick={onStop}>
          Stop
        </Button>
        <LineToggles view={view} onView={onView} isLive />
        <Spacer />
        <span className={styles.note}>
          {count(kept.lines.length)} lines
          {kept.lost ? `, the last ${count(KEPT_MAX)} of ${count(kept.came)} are kept` : ''}
          {kept.dropped ? `, ${count(kept.dropped)} came too fast` : ''}
        </span>
      </Toolbar>
      <div ref={list} className={styles.lines}>
        <LogList
          lines={kept.lines}
          options={options}
          timeZone={loadPreferences().timeZone}
          searched={searched}
          label="Live lines"
        />
      </div>
    </section>
  );
}

type ListRef = React.RefObject<HTMLDivElement | null>;

const scrollerOf = (list: ListRef) => list.current?.querySelector<HTMLElement>('[role="region"]');

function useStickToEnd(list: ListRef, came: number, isPaused: boolean): void {
  useLayoutEffect(() => {
    if (isPaused) return undefined;
    const toEnd = () => {
      const scroller = scrollerOf(list);
      if (scroller) scroller.scrollTop = scroller.scrollHeight;
    };
    toEnd();
    // Heights are known only after lines were drawn once.
    const frame = requestAnimationFrame(toEnd);
    return () => cancelAnimationFrame(frame);
  }, [list, came, isPaused]);
}

function usePauseOnScrollUp(list: ListRef, pause: () => void): void {
  useEffect(() => {
    const scroller = scrollerOf(list);
    if (!scroller) return undefined;
    const wheel = ({ deltaY }: WheelEvent) => {
      const { scrollTop, scrollHeight, clientHeight } = scroller;
      const isAway = scrollHeight - clientHeight - scrollTop > NEAR;
      if (deltaY < 0 && (isAway || scrollHeight > clientHeight)) pause();
    };
    const press = ({ key }: KeyboardEvent) => {
      if (key === 'ArrowUp' || key === 'PageUp' || key === 'Home') pause();
    };
    scroller.addEventListener('wheel', wheel, { passive: true });
    scroller.addEventListener('keydown', press);
    return () => {
      scroller.removeEventListener('wheel', wheel);
      scroller.removeEventListener('keydown', press);
    };
  }, [list, pause]);
}

const getStyles = (theme: GrafanaTheme2) => ({
  live: css({ display: 'flex', flex: '1 1 auto', flexDirection: 'column', gap: theme.spacing(1) }),
  state: css({ alignItems: 'center', display: 'inline-flex', gap: 6, fontWeight: 500 }),
  dot: css({ background: 'currentColor', borderRadius: '50%', height: 8, width: 8 }),
  connecting: css({ color: theme.colors.text.secondary }),
  open: css({ color: theme.colors.success.text }),
  paused: css({ color: theme.colors.warning.text }),
  lost: css({ color: theme.colors.error.text }),
  note: css({ color: theme.colors.text.secondary, fontSize: theme.typography.bodySmall.fontSize }),
  lines: css({
    background: theme.colors.background.primary,
    border: `1px solid ${theme.colors.border.weak}`,
    display: 'flex',
    flex: '1 1 auto',
    height: 'max(420px, calc(100vh - 300px))',
  }),
});
