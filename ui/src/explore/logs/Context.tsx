import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { Alert, Button, Modal, useStyles2 } from '@grafana/ui';
import { useCallback, useEffect, useMemo, useState } from 'react';
import type { LokiClient } from '~/api/loki';
import { loadPreferences } from '~/app/preferences';
import { logFrame } from '~/datasources/loki/frames';
import { LogList, type ListOptions } from '~/panels/logs/LogList';
import { readLines, sorted, type LogLine } from '~/panels/logs/lines';
import { streamOf } from './query';

interface Props {
  line: LogLine;
  client: LokiClient;
  options: ListOptions;
  onClose: () => void;
}

/** Lines asked for at once before and after. */
const LINES = 30;
/** Of most lines, in pixels. */
const LINE_HEIGHT = 20;
/** How far lines may lie from the one they are around. */
const REACH_MS = 24 * 3_600_000;

interface Around {
  before: LogLine[];
  after: LogLine[];
  error?: string;
}

/** What the same stream logged before and after a line. */
export function Context({ line, client, options, onClose }: Props) {
  const styles = useStyles2(getStyles);
  const [around, setAround] = useState<Around>({ before: [], after: [] });
  const [asked, setAsked] = useState({ before: LINES, after: LINES });
  const stream = streamOf(line.labels, line.kinds);

  useEffect(() => {
    let isCurrent = true;
    const failed = (reason: unknown) => (reason instanceof Error ? reason.message : String(reason));
    Promise.all([
      load(client, stream, line, 'backward', asked.before),
      load(client, stream, line, 'forward', asked.after),
    ]).then(
      ([before, after]) => isCurrent && setAround({ before, after }),
      (reason: unknown) => isCurrent && setAround((current) => ({ ...current, error: failed(reason) })),
    );
    return () => {
      isCurrent = false;
    };
  }, [client, stream, line, asked]);

  const lines = useMemo(() => [...around.before, line, ...around.after], [around, line]);
  const linesBefore = around.before.length;
  const scrollTo = useCallback(
    (element: HTMLElement | null) => {
      // The line stands in the middle at first.
      const scroller = element?.querySelector('[role="region"]');
      if (scroller) scroller.scrollTop = linesBefore * LINE_HEIGHT - scroller.clientHeight / 2;
    },
    [linesBefore],
  );
  const more = (side: 'before' | 'after', icon: 'angle-up' | 'angle-down') => (
    <div>
      <Button
        size="sm"
        variant="secondary"
        fill="text"
        icon={icon}
        disabled={around[side].length < asked[side]}
        onClick={() => setAsked({ ...asked, [side]: asked[side] + 2 * LINES })}
      >
        {around[side].length} {side}, load more
      </Button>
    </div>
  );
  return (
    <Modal isOpen title="Context" onDismiss={onClose} className={styles.modal}>
      <code className={styles.stream}>{stream}</code>
      {around.error && <Alert severity="error" title={around.error} />}
      {more('before', 'angle-up')}
      <div className={styles.lines} ref={scrollTo} key={`${around.before.length} ${around.after.length}`}>
        <LogList
          lines={lines}
          options={{ ...options, columns: [], showLabels: false }}
          timeZone={loadPreferences().timeZone}
          chosen={line.id}
          label="Lines around"
        />
      </div>
      {more('after', 'angle-down')}
    </Modal>
  );
}

async function load(
  client: LokiClient,
  stream: string,
  line: LogLine,
  direction: 'backward' | 'forward',
  limit: number,
): Promise<LogLine[]> {
  // Times of requests are whole milliseconds here; what lies within the one of the line is told apart by its nanoseconds.
  const range =
    direction === 'backward'
      ? { startMs: line.timeMs - REACH_MS, endMs: line.timeMs + 1 }
      : { startMs: line.timeMs, endMs: line.timeMs + REACH_MS };
  const data = await client.queryRange(stream, range, { limit: limit + 1, direction });
  if (data.resultType !== 'streams') return [];
  const own = BigInt(line.timeNs);
  const found = sorted(readLines([logFrame(data.result, 'A', stream)]), 'Ascending').filter(
    ({ timeNs, line: text }) => {
      const at = BigInt(timeNs);
      return direction === 'backward' ? at < own : at > own || (at === own && text !== line.line);
    },
  );
  return direction === 'backward' ? found.slice(-limit) : found.slice(0, limit);
}

const getStyles = (theme: GrafanaTheme2) => ({
  modal: css({ maxWidth: 1400, width: '92vw' }),
  stream: css({ overflowWrap: 'anywhere' }),
  lines: css({
    border: `1px solid ${theme.colors.border.weak}`,
    display: 'flex',
    height: '56vh',
    margin: theme.spacing(0.5, 0),
  }),
});
