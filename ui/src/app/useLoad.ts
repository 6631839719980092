import { useCallback, useEffect, useState } from 'react';

export interface Loaded<T> {
  value?: T;
  error?: Error;
  loading: boolean;
  reload: () => void;
}

/**
 * What `load` gives, loaded when the component appears, when `load` changes, on `reload`, and every so often. What was there stays
 * until something new is.
 */
export function useLoad<T>(load: () => Promise<T>, everyMs?: number): Loaded<T> {
  const [state, setState] = useState<{ value?: T; error?: Error; loading: boolean }>({ loading: true });
  const [turn, setTurn] = useState(0);
  const reload = useCallback(() => setTurn((current) => current + 1), []);
  useEffect(() => {
    let current = true;
    load().then(
      (value) => current && setState({ value, loading: false }),
      (reason: unknown) => {
        const error = reason instanceof Error ? reason : new Error(String(reason));
        if (current) setState((before) => ({ ...before, error, loading: false }));
      },
    );
    return () => {
      current = false;
    };
  }, [load, turn]);
  useEffect(() => {
    if (!everyMs) return undefined;
    const timer = setInterval(reload, everyMs);
    return () => clearInterval(timer);
  }, [everyMs, reload]);
  return { ...state, reload };
}
