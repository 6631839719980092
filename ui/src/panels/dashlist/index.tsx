import { css } from '@emotion/css';
import type { PanelProps } from '@grafana/data';
import { useCallback } from 'react';
import { dashboards } from '~/api/dashboards';
import { useLoad } from '~/app/useLoad';
import { slug } from '~/pages/dashboards/slug';
import { definePanel } from '../define';
import { NoData } from '../shared/NoData';

interface DashListOptions {
  showStarred: boolean;
  showSearch: boolean;
  showRecentlyViewed: boolean;
  showHeadings: boolean;
  maxItems: number;
  query: string;
  tags: string[];
  keepTime: boolean;
  includeVars: boolean;
}

const OPTIONS: DashListOptions = {
  showStarred: true,
  showSearch: false,
  showRecentlyViewed: false,
  showHeadings: true,
  maxItems: 10,
  query: '',
  tags: [],
  keepTime: false,
  includeVars: false,
};

function DashList({ options, replaceVariables }: PanelProps<DashListOptions>) {
  const { value = [] } = useLoad(useCallback(() => dashboards().list(), []));
  const { showStarred, showSearch, query, tags, maxItems } = options;
  const needle = replaceVariables(query ?? '').toLowerCase();
  const found = value.filter(
    (each) => each.title.toLowerCase().includes(needle) && tags.every((tag) => each.tags.includes(tag)),
  );
  const lists = [
    { heading: 'Starred', list: showStarred ? value.filter(({ isStarred }) => isStarred) : [] },
    { heading: 'Search', list: showSearch ? found : [] },
  ].filter(({ list }) => list.length);
  if (!lists.length) return <NoData message="No dashboards" />;
  const carried = [options.keepTime && '${__url_time_range}', options.includeVars && '${__all_variables}']
    .filter(Boolean)
    .join('&');
  const search = carried ? `?${replaceVariables(carried)}` : '';
  return (
    <div className={LIST}>
      {lists.map(({ heading, list }) => (
        <section key={heading}>
          {options.showHeadings && <h6>{heading}</h6>}
          {list.slice(0, maxItems).map(({ uid, title }) => (
            <div key={uid}>
              <a href={`/d/${uid}/${slug(title)}${search}`}>{title}</a>
            </div>
          ))}
        </section>
      ))}
    </div>
  );
}

const LIST = css({ height: '100%', overflow: 'auto' });

export const plugin = definePanel({
  id: 'dashlist',
  name: 'Dashboard list',
  component: DashList,
  options: OPTIONS,
  skipDataQuery: true,
});
