import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import type { SceneVariableSet } from '@grafana/scenes';
import {
  IntervalVariable,
  MultiValueVariable,
  SceneObjectBase,
  SceneTimeRange,
  type SceneObjectState,
  type SceneVariable,
} from '@grafana/scenes';
import { Alert, Button, Spinner, useStyles2 } from '@grafana/ui';
import { useEffect, useState } from 'react';
import type { DashboardScene } from '../../DashboardScene';
import type { VariableJson } from '../../model';
import { sceneVariables } from '../../variables';

/** How long nothing is typed before the values are asked for. */
const SETTLES_MS = 500;
const SHOWN_FIRST = 20;

/** A place where variables find out their values without a dashboard. */
class Probe extends SceneObjectBase<SceneObjectState> {}

interface Found {
  labels: string[];
  error?: string | undefined;
  isLoading: boolean;
}

interface Props {
  scene: DashboardScene;
  variable: VariableJson;
  others: VariableJson[];
}

/** The values that a variable has now. */
export function Preview({ scene, variable, others }: Props) {
  const styles = useStyles2(getStyles);
  const { found, isLoading, error } = useValues({ scene, variable, others });
  const [shown, setShown] = useState(SHOWN_FIRST);
  return (
    <section aria-label="Preview of values">
      <h3 className={styles.title}>
        Preview of values {isLoading && <Spinner inline />}
        <span className={styles.count}>{!isLoading && !error && `(${found.length})`}</span>
      </h3>
      {error && (
        <Alert title="The values could not be had" severity="error">
          {error}
        </Alert>
      )}
      {!isLoading && !error && !found.length && (
        <p>There are none: look at the query and the regular expression.</p>
      )}
      <div className={styles.values}>
        {found.slice(0, shown).map((label, index) => (
          <span key={index} className={styles.value}>
            {label}
          </span>
        ))}
      </div>
      {found.length > shown && (
        <Button size="sm" variant="secondary" fill="text" onClick={() => setShown(shown + 100)}>
          Show more
        </Button>
      )}
    </section>
  );
}

function useValues({ scene, variable, others }: Props) {
  const [state, setState] = useState<Found>({ labels: [], isLoading: true });
  const wanted = JSON.stringify([variable, others]);
  useEffect(() => {
    let stop: (() => void) | undefined;
    const timer = setTimeout(() => {
      const [json, rest] = JSON.parse(wanted) as [VariableJson, VariableJson[]];
      stop = probe(scene, json, rest, setState);
    }, SETTLES_MS);
    return () => {
      clearTimeout(timer);
      stop?.();
    };
  }, [scene, wanted]);
  return { found: state.labels, isLoading: state.isLoading, error: state.error };
}

function probe(
  scene: DashboardScene,
  json: VariableJson,
  others: VariableJson[],
  report: (found: Found) => void,
): () => void {
  const { from = 'now-6h', to = 'now' } = scene.state.$timeRange?.state ?? {};
  // Queries may name other variables: those with the values that were saved take part.
  const $variables: SceneVariableSet = sceneVariables([...others, json]);
  const made = $variables.state.variables.find(({ state }) => state.name === json.name);
  const root = new Probe({ $timeRange: new SceneTimeRange({ from, to }), $variables });
  const tell = () => made && report(foundOf(made));
  const following = made?.subscribeToState(tell);
  const deactivate = root.activate();
  tell();
  return () => {
    following?.unsubscribe();
    deactivate();
  };
}

function foundOf(variable: SceneVariable): Found {
  const { loading = false, error } = variable.state;
  const message = error instanceof Error ? error.message : error ? String(error) : undefined;
  if (variable instanceof IntervalVariable) return { labels: variable.state.intervals, isLoading: false };
  const labels =
    variable instanceof MultiValueVariable
      ? variable.state.options.map(({ label }: { label: string }) => label)
      : [];
  return { labels, error: message, isLoading: loading };
}

const getStyles = (theme: GrafanaTheme2) => ({
  title: css({ fontSize: theme.typography.h6.fontSize, margin: theme.spacing(0, 0, 1) }),
  count: css({ color: theme.colors.text.secondary, fontWeight: 400 }),
  values: css({ display: 'flex', flexWrap: 'wrap', gap: theme.spacing(0.5) }),
  value: css({
    background: theme.colors.background.secondary,
    borderRadius: theme.shape.radius.default,
    fontFamily: theme.typography.fontFamilyMonospace,
    fontSize: theme.typography.bodySmall.fontSize,
    padding: theme.spacing(0.25, 1),
  }),
});
