/** Panels that show what another panel of their dashboard has found, as Grafana's data source `-- Dashboard --` has it. */
import {
  DataSourceApi,
  LoadingState,
  type DataQuery,
  type DataQueryRequest,
  type DataQueryResponse,
  type TestDataSourceResponse,
} from '@grafana/data';
import {
  SceneDataTransformer,
  VizPanel,
  sceneGraph,
  type SceneDataProvider,
  type SceneObject,
} from '@grafana/scenes';
import { Observable, combineLatest, map } from 'rxjs';

interface PanelQuery extends DataQuery {
  panelId?: number;
  /** Whether the other panel's transformations are taken along. */
  withTransforms?: boolean;
}

/** Of a panel that was not on the page, and so knows no width of its own. */
const WIDTH_PX = 800;

export class DashboardDatasource extends DataSourceApi<PanelQuery> {
  query({ targets, scopedVars }: DataQueryRequest<PanelQuery>): Observable<DataQueryResponse> {
    const scoped = scopedVars.__sceneObject?.value as { valueOf?: () => unknown } | undefined;
    const asking = scoped?.valueOf?.() as SceneObject | undefined;
    const asked = targets.filter(({ hide }) => !hide).map((target) => follow(target, asking));
    return combineLatest(asked).pipe(map(merged));
  }

  async testDatasource(): Promise<TestDataSourceResponse> {
    return { status: 'success', message: '' };
  }
}

/** What a panel has found, as often as it finds something else. */
function follow(
  { refId, panelId, withTransforms }: PanelQuery,
  asking: SceneObject | undefined,
): Observable<DataQueryResponse> {
  return new Observable((subscriber) => {
    const provider = asking && providerOf(asking, panelId, withTransforms ?? false);
    if (!provider) {
      const message = `there is no panel ${panelId ?? ''} with data in this dashboard`;
      subscriber.next({ data: [], errors: [{ message, refId }], state: LoadingState.Error });
      return undefined;
    }
    if (!provider.isActive) provider.setContainerWidth?.(WIDTH_PX);
    const leave = provider.activate();
    const results = provider.getResultsStream?.().subscribe(({ data }) => {
      const { series, errors, state } = data;
      subscriber.next({
        data: series.map((frame) => ({ ...frame, refId })),
        state,
        ...(errors ? { errors } : {}),
      });
    });
    return () => {
      results?.unsubscribe();
      leave();
    };
  });
}

function providerOf(
  asking: SceneObject,
  panelId: number | undefined,
  withTransforms: boolean,
): SceneDataProvider | undefined {
  const panel = sceneGraph.findObject(
    asking.getRoot(),
    (object) => object instanceof VizPanel && object.state.key === `panel-${panelId}`,
  );
  const provider = panel?.state.$data;
  // A panel that asks itself would wait for ever.
  if (!provider || contains(panel, asking)) return undefined;
  if (!withTransforms && provider instanceof SceneDataTransformer) return provider.state.$data;
  return provider;
}

function contains(panel: SceneObject | undefined, inner: SceneObject): boolean {
  for (let object: SceneObject | undefined = inner; object; object = object.parent)
    if (object === panel) return true;
  return false;
}

function merged(answers: DataQueryResponse[]): DataQueryResponse {
  const errors = answers.flatMap((answer) => answer.errors ?? []);
  const isLoading = answers.some(({ state }) => state === LoadingState.Loading);
  return {
    data: answers.flatMap(({ data }) => data),
    state: isLoading ? LoadingState.Loading : errors.length ? LoadingState.Error : LoadingState.Done,
    ...(errors.length ? { errors } : {}),
  };
}
