import {
  DataSourceApi,
  LoadingState,
  type DataQuery,
  type DataQueryRequest,
  type DataQueryResponse,
  type DataSourceApi as AnyDataSource,
  type DataSourceRef,
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
      const source = await getDataSourceSrv().get(target.datasource as DataSourceRef, scopedVars);
      groups.set(source, [...(groups.get(source) ?? []), target]);
    }
    return [...groups];
  }

  async testDatasource(): Promise<TestDataSourceResponse> {
    return { status: 'success', message: '' };
  }
}

/** One that fails does not take the others along. */
function ask(source: AnyDataSource, request: DataQueryRequest): Observable<DataQueryResponse> {
  const answer = source.query(request);
  return (isObservable(answer) ? answer : from(answer)).pipe(
    catchError((error: unknown) => {
      const message = error instanceof Error ? error.message : String(error);
      return of({ data: [], errors: [{ message }], state: LoadingState.Error });
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
