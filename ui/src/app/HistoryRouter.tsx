import { locationService } from '@grafana/runtime';
import type { Action, Location } from 'history';
import { useLayoutEffect, useState, type ReactNode } from 'react';
import { Router, type Navigator } from 'react-router-dom';

/** A router over the history that the Grafana packages use, so that either sees where the other goes. */
export function HistoryRouter({ children }: { children: ReactNode }) {
  const history = locationService.getHistory();
  const [current, setCurrent] = useState({ location: history.location, action: history.action });
  useLayoutEffect(
    () => history.listen((location: Location, action: Action) => setCurrent({ location, action })),
    [history],
  );
  return (
    <Router
      location={current.location}
      navigationType={current.action as never}
      navigator={history as unknown as Navigator}
    >
      {children}
    </Router>
  );
}
