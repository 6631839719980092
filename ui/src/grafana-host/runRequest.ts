import {
  LoadingState,
  toDataFrame,
  type DataFrame,
  type DataQueryResponse,
  type PanelData,
} from '@grafana/data';
import { toDataQueryError, type getRunRequest } from '@grafana/runtime';
import {
  catchError,
  defer,
  from,
  isObservable,
  map,
  merge,
  of,
  share,
  takeUntil,
  timer,
  type Observable,
} from 'rxjs';

/** How long a query runs before its panel says that it is loading: most are faster. */
const LOADING_SHOWN_AFTER_MS = 200;

/**
 * Runs what a panel asks of a data source. As Grafana's, it gives errors as data, never as a failed stream,
 * and annotations apart from series.
 */
export const runRequest: ReturnType<typeof getRunRequest> = (datasource, request, queryFunction) => {
  const empty: PanelData = { state: LoadingState.Loading, series: [], request, timeRange: request.range };
  if (!request.targets.some((target) => !target.hide)) return of({ ...empty, state: LoadingState.Done });
  const run = queryFunction ?? ((asked: typeof request) => datasource.query(asked));
  const response = defer(() => asObservable(run(request)));
  const data = response.pipe(
    map((packet) => panelData(empty, packet)),
    catchError((error: unknown) => {
      const failure = toDataQueryError(error as Error);
      return of({ ...empty, state: LoadingState.Error, error: failure, errors: [failure] });
    }),
    share(),
  );
  return merge(
    timer(LOADING_SHOWN_AFTER_MS).pipe(
      map(() => empty),
      takeUntil(data),
    ),
    data,
  );
};

function asObservable(
  answer: Promise<DataQueryResponse> | Observable<DataQueryResponse>,
): Observable<DataQueryResponse> {
  return isObservable(answer) ? answer : from(answer);
}

function panelData(empty: PanelData, packet: DataQueryResponse): PanelData {
  const series: DataFrame[] = [];
  const annotations: DataFrame[] = [];
  for (const data of packet.data) {
    const frame = toDataFrame(data);
    (frame.meta?.dataTopic === 'annotations' ? annotations : series).push(frame);
  }
  const request = empty.request && { ...empty.request, endTime: Date.now() };
  const failed = packet.errors?.length ? LoadingState.Error : LoadingState.Done;
  return {
    ...empty,
    request,
    series,
    annotations,
    state: packet.state ?? failed,
    error: packet.errors?.[0],
    errors: packet.errors,
  };
}
