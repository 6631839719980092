/** Links of panels and of data as they were written before. */
import type { LinkJson, PanelJson } from '../model';

interface OldLink extends LinkJson {
  dashUri?: string;
  dashboard?: string;
  params?: string;
}

/** Version 19: links were to a dashboard by name, or to an address with parameters beside it. */
export function migrateLinks(panel: PanelJson): void {
  if (!panel.links) return;
  panel.links = (panel.links as OldLink[]).map(
    ({ dashUri, dashboard, params, keepTime, includeVars, url, ...rest }) => {
      const slugged = dashboard?.toLowerCase().replace(/\s+/g, '-');
      const base = url ?? (dashUri ? `dashboard/${dashUri}` : slugged ? `dashboard/db/${slugged}` : '/');
      const query = [keepTime && '$__url_time_range', includeVars && '$__all_variables', params]
        .filter(Boolean)
        .join('&');
      return { ...rest, url: query ? `${base}${base.includes('?') ? '&' : '?'}${query}` : base };
    },
  );
}

/** Names of what data links may use, before version 21. */
const RENAMED: [RegExp, string][] = [
  [/\$\{?__series_name\}?/g, '${__series.name}'],
  [/\$\{?__field_name\}?/g, '${__field.name}'],
  [/\$\{?__value_time\}?/g, '${__value.time}'],
  [/__series\.labels/g, '__field.labels'],
];

export function migrateLinkVariables(panel: PanelJson): void {
  const options = panel.options as
    { fieldOptions?: { defaults?: { links?: LinkJson[] } }; dataLinks?: LinkJson[] } | undefined;
  const lists = [
    options?.dataLinks,
    options?.fieldOptions?.defaults?.links,
    panel.fieldConfig?.defaults.links,
  ];
  for (const link of lists.flatMap((list) => (list as LinkJson[] | undefined) ?? [])) {
    for (const [old, current] of RENAMED) link.url = link.url?.replace(old, () => current) ?? '';
  }
}
