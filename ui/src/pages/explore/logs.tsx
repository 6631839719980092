import { Alert, LinkButton } from '@grafana/ui';
import { useCallback } from 'react';
import { Navigate, useLocation } from 'react-router-dom';
import { rangeUtil } from '@grafana/data';
import { LokiClient } from '~/api/loki';
import { Page } from '~/app/Page';
import { Loading } from '~/app/Loading';
import { useLoad } from '~/app/useLoad';
import { LabelList } from '~/app/LabelList';
import { catalog } from '~/datasources/catalog';
import { jumpQuery, logsOf, readJump, type JumpTo } from '~/explore/jump';
import { EXPLORE_DEFAULTS, exploreHref, readExplore } from '~/explore/url';
import { VIEW_DEFAULTS } from '~/explore/view';

/** The way from a series to its logs: looks for the labels that logs share with it, and goes on to Explore. */
export default function LogsOfSeries() {
  const { search } = useLocation();
  const find = useCallback(() => findLogs(readJump(new URLSearchParams(search))), [search]);
  const { value: href, error, loading } = useLoad(find);
  const jump = readJump(new URLSearchParams(search));
  if (loading) return <Loading />;
  if (href) return <Navigate replace to={href} />;
  return (
    <Page title="Logs of a series" error={error}>
      {!error && (
        <Alert severity="info" title="No logs share labels with this series">
          None of its labels has a value that logs of this time have as well.
        </Alert>
      )}
      <LabelList labels={jump.labels} />
      <div>
        <LinkButton href={jump.beside ? `/explore${jump.beside}` : '/explore'} variant="secondary">
          Back
        </LinkButton>
      </div>
    </Page>
  );
}

async function findLogs(jump: JumpTo): Promise<string | undefined> {
  const source = catalog.find(({ type }) => type === 'loki');
  if (!source) return undefined;
  const { from, to, labels, text, beside } = jump;
  const range = rangeUtil.convertRawToRange({ from, to });
  const span = { startMs: range.from.valueOf(), endMs: range.to.valueOf() };
  const selector = await logsOf(new LokiClient(source.url ?? ''), labels, span);
  if (!selector) return undefined;
  const logs = {
    datasource: source.uid,
    queries: [jumpQuery(selector, text)],
    from,
    to,
    view: VIEW_DEFAULTS,
  };
  if (!beside) return exploreHref(logs);
  const left = readExplore(new URLSearchParams(beside));
  return exploreHref({ ...EXPLORE_DEFAULTS, ...left, right: logs, synced: true });
}
