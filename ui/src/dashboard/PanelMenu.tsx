import type { PanelMenuItem } from '@grafana/data';
import { locationService } from '@grafana/runtime';
import { SceneQueryRunner, VizPanel, VizPanelMenu, sceneGraph } from '@grafana/scenes';
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
      onClick: () => void explore(panel, runner),
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

async function explore(panel: VizPanel, runner: SceneQueryRunner): Promise<void> {
  const range = sceneGraph.getTimeRange(panel).state;
  const queries = runner.state.queries.map((query) => ({
    ...query,
    expr: sceneGraph.interpolate(panel, String(query.expr ?? '')),
  }));
  locationService.push(exploreHref({ queries, from: range.from, to: range.to }));
}
