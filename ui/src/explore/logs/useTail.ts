import { useCallback, useEffect, useRef, useState } from 'react';
import type { LokiClient } from '~/api/loki';
import { NOTHING, readMessage, withMessage, type Kept } from './tail';

/** Lines that were there before following begins. */
const HISTORY = 100;
/** Lines are shown this often, however fast they come. */
const SHOWN_EVERY_MS = 150;
/** How long after a connection is lost another is tried: longer each time. */
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 15_000;

export type TailState = 'connecting' | 'open' | 'lost' | 'paused';

export interface Tail {
  kept: Kept;
  state: TailState;
  /** Why there is no connection. */
  reason: string | undefined;
  /** Lines that came while it was paused. */
  waiting: number;
  pause: () => void;
  resume: () => void;
  clear: () => void;
}

/** Follows a query. While it is paused lines are still taken in, and shown when it goes on. */
export function useTail(client: LokiClient, query: string): Tail {
  const incoming = useRef<Kept>(NOTHING);
  const [kept, setKept] = useState<Kept>(NOTHING);
  const [isPaused, setPaused] = useState(false);
  const [connection, setConnection] = useState<{ state: TailState; reason?: string }>({
    state: 'connecting',
  });
  const [waiting, setWaiting] = useState(0);

  useEffect(() => {
    let socket: WebSocket | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let retryMs = RETRY_FIRST_MS;
    let isLeft = false;
    let limit = HISTORY;
    incoming.current = NOTHING;
    setKept(NOTHING);
    const connect = () => {
      setConnection({ state: 'connecting' });
      socket = client.tail(query, limit);
      socket.onopen = () => {
        retryMs = RETRY_FIRST_MS;
        // What there was is shown already when a connection is made again.
        limit = 1;
        setConnection({ state: 'open' });
      };
      socket.onmessage = ({ data }) => {
        const message = readMessage(data);
        if (message) incoming.current = withMessage(incoming.current, message);
      };
      socket.onclose = ({ reason }) => {
        if (isLeft) return;
        setConnection({ state: 'lost', ...(reason ? { reason } : {}) });
        timer = setTimeout(connect, retryMs);
        retryMs = Math.min(RETRY_MAX_MS, retryMs * 2);
      };
    };
    connect();
    return () => {
      isLeft = true;
      clearTimeout(timer);
      socket?.close();
    };
  }, [client, query]);

  useEffect(() => {
    const show = () => {
      if (isPaused) setWaiting(incoming.current.came - kept.came);
      else setKept(incoming.current);
    };
    const timer = setInterval(show, SHOWN_EVERY_MS);
    return () => clearInterval(timer);
  }, [isPaused, kept.came]);

  return {
    kept,
    state: isPaused && connection.state === 'open' ? 'paused' : connection.state,
    reason: connection.reason,
    waiting: isPaused ? waiting : 0,
    pause: useCallback(() => setPaused(true), []),
    resume: useCallback(() => setPaused(false), []),
    clear: useCallback(() => {
      incoming.current = { ...NOTHING, came: incoming.current.came };
      setKept(incoming.current);
    }, []),
  };
}
