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
  const targets = panel.targets ?? [];
  if (!targets.length) return undefined;
  const datasource = reference(panel.datasource);
  const runner = new SceneQueryRunner({
    queries: targets.map((target) => sceneQuery(target)),
    ...(datasource ? { datasource } : {}),
    ...(panel.interval ? { minInterval: panel.interval } : {}),
    ...(panel.maxDataPoints ? { maxDataPoints: panel.maxDataPoints } : {}),
    maxDataPointsFromWidth: true,
  });
  return new SceneDataTransformer({ $data: runner, transformations: panel.transformations ?? [] });
}

function sceneQuery(target: NonNullable<PanelJson['targets']>[number]): SceneDataQuery {
  const datasource = reference(target.datasource);
  const { datasource: _stored, ...query } = target;
  return { refId: 'A', ...query, ...(datasource ? { datasource } : {}) };
}
