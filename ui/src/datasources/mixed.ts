import {
  DataSourceApi,
  LoadingState,
  type DataQuery,
  type DataQueryRequest,
  type DataQueryResponse,
  type DataSourceApi as AnyDataSource,
  type DataSourceRef,
  type ScopedVars,
  type TestDataSourceResponse,
} from '@grafana/data';
import { getDataSourceSrv } from '@grafana/runtime';
import { catchError, combineLatest, from, isObservable, map, of, switchMap, type Observable } from 'rxjs';

/** Queries of one panel that go to several data sources: each gets its own, and the panel all answers. */
export class MixedDatasource extends DataSourceApi {
  query(request: DataQueryRequest): Observable<DataQueryResponse> {
    const targets = request.targets.filter(({ hide }) => !hide);
    if (!targets.length) return of({ data: [], state: LoadingState.Done });
    return from(this.#group(targets, request)).pipe(
      switchMap((groups) =>
        combineLatest(groups.map(([source, own]) => ask(source, { ...request, targets: own }))),
      ),
      map(merge),
    );
  }

  async #group(
    targets: DataQuery[],
    { scopedVars }: DataQueryRequest,
  ): Promise<[AnyDataSource, DataQuery[]][]> {
    const groups = new Map<AnyDataSource, DataQuery[]>();
    for (const target of targets) {
      const source = await sourceOf(target, scopedVars);
      groups.set(source, [...(groups.get(source) ?? []), target]);
    }
    return [...groups];
  }

  async testDatasource(): Promise<TestDataSourceResponse> {
    return { status: 'success', message: '' };
  }
}

/**
 * Where a query goes. One that names no source comes here with this one as its own, as who runs queries fills that in: it goes to
 * the default source, since this one would ask itself for ever.
 */
async function sourceOf({ datasource }: DataQuery, scopedVars: ScopedVars): Promise<AnyDataSource> {
  const named = await getDataSourceSrv().get(datasource as DataSourceRef, scopedVars);
  return named instanceof MixedDatasource ? getDataSourceSrv().get(null, scopedVars) : named;
}

/** One that fails does not take the others along. */
function ask(source: AnyDataSource, request: DataQueryRequest): Observable<DataQueryResponse> {
  const answer = source.query(request);
  return (isObservable(answer) ? answer : from(answer)).pipe(
    catchError((error: unknown) => {
      const message = error instanceof Error ? error.message : String(error);
      // Each query that got no answer says why.
      const errors = request.targets.map(({ refId }) => ({ message, refId }));
      return of({ data: [], errors, state: LoadingState.Error });
    }),
  );
}

function merge(answers: DataQueryResponse[]): DataQueryResponse {
  const errors = answers.flatMap((answer) => answer.errors ?? []);
  const loading = answers.some(({ state }) => state === LoadingState.Loading);
  return {
    data: answers.flatMap(({ data }) => data),
    state: loading ? LoadingState.Loading : errors.length ? LoadingState.Error : LoadingState.Done,
    ...(errors.length ? { errors } : {}),
  };
}
