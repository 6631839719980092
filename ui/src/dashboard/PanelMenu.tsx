import type { PanelMenuItem } from '@grafana/data';
import { getDataSourceSrv, locationService } from '@grafana/runtime';
import { SceneQueryRunner, VizPanel, VizPanelMenu, sceneGraph } from '@grafana/scenes';
import { matcherFormat } from '~/datasources/prometheus/interpolate';
import { exploreHref } from '~/explore/url';
import { openInspector } from './inspect';

/** What can be done with a panel; made when the menu is opened, of what the panel shows then. */
export function panelMenu(): VizPanelMenu {
  return new VizPanelMenu({
    $behaviors: [
      (menu) => {
        const panel = menu.parent;
        if (menu instanceof VizPanelMenu && panel instanceof VizPanel) menu.setState({ items: items(panel) });
      },
    ],
  });
}

function items(panel: VizPanel): PanelMenuItem[] {
  const id = panel.state.key ?? '';
  const list: PanelMenuItem[] = [
    {
      text: 'View',
      iconClassName: 'eye',
      shortcut: 'v',
      onClick: () => locationService.partial({ viewPanel: id }),
    },
  ];
  const runner = panelQueries(panel);
  if (runner) {
    list.push({
      text: 'Explore',
      iconClassName: 'compass',
      shortcut: 'p x',
      onClick: () => explore(panel, runner),
    });
  }
  list.push({
    text: 'Inspect',
    iconClassName: 'info-circle',
    shortcut: 'i',
    onClick: () => openInspector(panel, 'data'),
    subMenu: [
      { text: 'Data', onClick: () => openInspector(panel, 'data') },
      { text: 'Queries', onClick: () => openInspector(panel, 'query') },
      { text: 'Panel JSON', onClick: () => openInspector(panel, 'json') },
    ],
  });
  return list;
}

export function panelQueries(panel: VizPanel): SceneQueryRunner | undefined {
  const found = sceneGraph.findObject(panel, (object) => object instanceof SceneQueryRunner);
  return found instanceof SceneQueryRunner ? found : undefined;
}

function explore(panel: VizPanel, runner: SceneQueryRunner): void {
  const range = sceneGraph.getTimeRange(panel).state;
  const queries = runner.state.queries.map((query) => ({
    ...query,
    expr: sceneGraph.interpolate(panel, String(query.expr ?? ''), undefined, matcherFormat as never),
  }));
  // Where queries go to several sources, Explore begins with that of the first.
  const [first] = runner.state.queries;
  const named = first?.datasource ?? runner.state.datasource;
  const uid = named?.uid && sceneGraph.interpolate(panel, named.uid);
  const source = getDataSourceSrv().getInstanceSettings(named ? { ...named, ...(uid ? { uid } : {}) } : null);
  const datasource = source ? { datasource: source.uid } : {};
  locationService.push(exploreHref({ ...datasource, queries, from: range.from, to: range.to }));
}
