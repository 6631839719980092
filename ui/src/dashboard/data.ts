import {
  SceneDataTransformer,
  SceneQueryRunner,
  type SceneDataProvider,
  type SceneDataQuery,
} from '@grafana/scenes';
import type { PanelJson } from './model';
import { reference } from './variables';

/** Where a panel's data comes from: its queries, and what transforms their answers. */
export function panelData(panel: PanelJson): SceneDataProvider | undefined {
  if (!panel.targets?.length) return undefined;
  const runner = new SceneQueryRunner({ ...queryState(panel), maxDataPointsFromWidth: true });
  return new SceneDataTransformer({ $data: runner, transformations: panel.transformations ?? [] });
}

/** What a panel asks. */
export function queryState({ targets = [], datasource, interval, maxDataPoints }: PanelJson) {
  return {
    queries: targets.map(sceneQuery),
    datasource: reference(datasource) ?? undefined,
    minInterval: interval || undefined,
    maxDataPoints: maxDataPoints || undefined,
  };
}

function sceneQuery(target: NonNullable<PanelJson['targets']>[number]): SceneDataQuery {
  const datasource = reference(target.datasource);
  const { datasource: _stored, ...query } = target;
  return { refId: 'A', ...query, ...(datasource ? { datasource } : {}) };
}
