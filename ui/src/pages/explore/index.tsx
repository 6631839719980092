import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { locationService } from '@grafana/runtime';
import { Button, ClipboardButton, IconButton, useStyles2 } from '@grafana/ui';
import { useCallback, useMemo, useRef, useState } from 'react';
import { useLocation } from 'react-router-dom';
import { useTitle } from '~/app/Page';
import { catalog } from '~/datasources/catalog';
import { HistoryPanel } from '~/explore/HistoryPanel';
import { Pane } from '~/explore/Pane';
import { Toggle } from '~/explore/Toolbar';
import { exploreHref, readExplore, type ExploreState, type PaneState } from '~/explore/url';

const KINDS = ['prometheus', 'loki'];

/** Queries written and run by hand, on metrics or logs. Its address says all of it. */
export default function Explore() {
  useTitle('Explore');
  const styles = useStyles2(getStyles);
  const { search } = useLocation();
  const state = useMemo(() => readExplore(new URLSearchParams(search)), [search]);
  const [showsHistory, setShowsHistory] = useState(false);
  const latest = useRef(state);
  latest.current = state;

  const go = useCallback((changed: ExploreState, isSmall = false) => {
    latest.current = changed;
    const href = exploreHref(changed);
    if (isSmall) locationService.replace(href);
    else locationService.push(href);
  }, []);
  const changeLeft = useCallback(
    (changed: Partial<PaneState>, isSmall?: boolean) =>
      go(withChange(latest.current, 'left', changed), isSmall),
    [go],
  );
  const changeRight = useCallback(
    (changed: Partial<PaneState>, isSmall?: boolean) =>
      go(withChange(latest.current, 'right', changed), isSmall),
    [go],
  );

  const sources = catalog.filter(({ type }) => KINDS.includes(type));
  const sourceOf = ({ datasource }: PaneState) =>
    sources.find(({ uid }) => uid === datasource) ?? sources.find(({ isDefault }) => isDefault) ?? sources[0];
  const left = sourceOf(state);
  const right = state.right && sourceOf(state.right);
  if (!left) return <p className={styles.page}>There is no data source to explore.</p>;

  const split = () => {
    const { right: _right, synced: _synced, ...pane } = state;
    go({ ...state, right: pane, synced: true });
  };
  const close = (pane: PaneState) => go({ ...pane, synced: true });
  return (
    <div className={styles.page}>
      <div className={styles.bar}>
        <h1 className={styles.title}>Explore</h1>
        <span className={styles.spacer} />
        <Button
          icon="history"
          variant="secondary"
          fill="text"
          aria-expanded={showsHistory}
          onClick={() => setShowsHistory(!showsHistory)}
        >
          History
        </Button>
        <ClipboardButton
          icon="link"
          variant="secondary"
          fill="text"
          getText={() => new URL(window.location.href).toString()}
        >
          Copy link
        </ClipboardButton>
        {!right && (
          <Button icon="columns" variant="secondary" fill="text" onClick={split}>
            Split
          </Button>
        )}
        {right && (
          <Toggle
            on={state.synced}
            title="Both show the same time"
            onChange={(synced) => go(withSync(state, synced))}
          >
            Same time
          </Toggle>
        )}
      </div>
      {showsHistory && (
        <HistoryPanel
          onClose={() => setShowsHistory(false)}
          onRun={({ datasource, queries }) => {
            const kept = queries.map((expr, index) => ({ refId: String.fromCharCode(65 + index), expr }));
            changeLeft({ datasource, queries: kept });
          }}
        />
      )}
      <div className={styles.panes}>
        <Pane
          key={`left ${left.uid}`}
          name={right ? 'Left half' : 'Queries'}
          state={state}
          source={{ uid: left.uid, type: left.type, url: left.url ?? '' }}
          sources={sources}
          onChange={changeLeft}
          actions={
            state.right && (
              <IconButton
                name="times"
                aria-label="Close left half"
                onClick={() => close(state.right ?? state)}
              />
            )
          }
        />
        {state.right && right && (
          <Pane
            key={`right ${right.uid}`}
            name="Right half"
            state={state.right}
            source={{ uid: right.uid, type: right.type, url: right.url ?? '' }}
            sources={sources}
            onChange={changeRight}
            actions={
              <IconButton
                name="times"
                aria-label="Close right half"
                onClick={() => {
                  const { right: _right, ...pane } = state;
                  close(pane);
                }}
              />
            }
          />
        )}
      </div>
    </div>
  );
}

/** A half changed; where both show the same time, the other with it. */
function withChange(state: ExploreState, half: 'left' | 'right', changed: Partial<PaneState>): ExploreState {
  const { from, to } = changed;
  const times = { ...(from ? { from } : {}), ...(to ? { to } : {}) };
  const other = state.synced ? times : {};
  if (half === 'left')
    return { ...state, ...changed, ...(state.right ? { right: { ...state.right, ...other } } : {}) };
  return state.right ? { ...state, ...other, right: { ...state.right, ...changed } } : state;
}

function withSync(state: ExploreState, synced: boolean): ExploreState {
  const { from, to, right } = state;
  return { ...state, synced, ...(right ? { right: synced ? { ...right, from, to } : right } : {}) };
}

const NARROW = '@media (max-width: 1000px)';

const getStyles = (theme: GrafanaTheme2) => ({
  page: css({
    display: 'flex',
    flex: '1 1 auto',
    flexDirection: 'column',
    gap: theme.spacing(1),
    padding: theme.spacing(2, 3),
    [theme.breakpoints.down('sm')]: { padding: theme.spacing(1) },
  }),
  bar: css({ alignItems: 'center', display: 'flex', flexWrap: 'wrap', gap: theme.spacing(1) }),
  spacer: css({ flex: '1 1 auto' }),
  title: css({ fontSize: theme.typography.h2.fontSize, margin: 0 }),
  panes: css({
    display: 'flex',
    flex: '1 1 auto',
    gap: theme.spacing(2),
    minWidth: 0,
    [NARROW]: { flexDirection: 'column' },
  }),
});
