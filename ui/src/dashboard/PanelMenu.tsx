import type { PanelMenuItem } from '@grafana/data';
import { getDataSourceSrv, locationService } from '@grafana/runtime';
import { SceneQueryRunner, VizPanel, VizPanelMenu, sceneGraph } from '@grafana/scenes';
import { matcherFormat } from '~/datasources/prometheus/interpolate';
import { jumpHref, sharedLabels } from '~/explore/jump';
import { exploreHref } from '~/explore/url';
import { DashboardScene, type PanelChange } from './DashboardScene';
import { openInspector } from './inspect';
import { numberOfPanel } from './panelKey';

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
  const scene = panel.getRoot();
  if (scene instanceof DashboardScene && scene.mayEdit()) list.push(...editItems(scene, panel));
  const runner = panelQueries(panel);
  if (runner) {
    list.push({
      text: 'Explore',
      iconClassName: 'compass',
      shortcut: 'p x',
      onClick: () => explorePanel(panel),
    });
    const labels = sharedLabels(runner.state.data?.series ?? []);
    if (Object.keys(labels).length)
      list.push({
        text: 'Logs',
        iconClassName: 'gf-logs',
        onClick: () => {
          const { from, to } = sceneGraph.getTimeRange(panel).state;
          locationService.push(jumpHref({ labels, from, to }));
        },
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

export const panelId = (panel: VizPanel): number => numberOfPanel(panel.state.key ?? '');

function editItems(scene: DashboardScene, panel: VizPanel): PanelMenuItem[] {
  const id = panelId(panel);
  const change = (name: PanelChange) => () => void scene.changePanel(id, name);
  const edit: PanelMenuItem = { text: 'Edit', iconClassName: 'pen', shortcut: 'e', onClick: change('edit') };
  if (!scene.state.isEditing) return [edit];
  const step = (text: string, name: PanelChange): PanelMenuItem => ({ text, onClick: change(name) });
  return [
    edit,
    { text: 'Duplicate', iconClassName: 'copy', shortcut: 'p d', onClick: change('duplicate') },
    { text: 'Copy', iconClassName: 'clipboard-alt', onClick: change('copy') },
    {
      text: 'Move or resize',
      iconClassName: 'arrows-h',
      subMenu: [
        step('Move left', 'left'),
        step('Move right', 'right'),
        step('Move up', 'up'),
        step('Move down', 'down'),
        step('Wider', 'wider'),
        step('Narrower', 'narrower'),
        step('Taller', 'taller'),
        step('Shorter', 'shorter'),
      ],
    },
    { text: 'Remove', iconClassName: 'trash-alt', shortcut: 'p r', onClick: change('remove') },
  ];
}

export function panelQueries(panel: VizPanel): SceneQueryRunner | undefined {
  const found = sceneGraph.findObject(panel, (object) => object instanceof SceneQueryRunner);
  return found instanceof SceneQueryRunner ? found : undefined;
}

/** Leads to the queries of a panel, as they are with the values that variables have. */
export function explorePanel(panel: VizPanel): void {
  const runner = panelQueries(panel);
  if (!runner) return;
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
