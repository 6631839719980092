/** The panel that is edited, as it looks now, and the JSON that says so. */
import type { DataFrame, FieldConfigSource, PanelPlugin } from '@grafana/data';
import type { VizPanel } from '@grafana/scenes';
import {
  SceneDataTransformer,
  SceneObjectBase,
  SceneQueryRunner,
  type SceneDataProvider,
  type SceneObjectState,
} from '@grafana/scenes';
import { GRAFANA_VERSION } from '~/grafana-host/version';
import { queryState } from '../../data';
import type { DashboardScene } from '../../DashboardScene';
import type { PanelJson } from '../../model';
import { vizPanel } from '../../panel';
import { record } from '../commit';
import { getIn, isObject, isSame, setIn } from '../json';
import { replacePanel } from '../panels';

interface State extends SceneObjectState {
  panel: VizPanel;
  json: PanelJson;
}

/** What only a new panel shows. */
const FUNDAMENTAL = ['type', 'links', 'timeFrom', 'timeShift', 'hideTimeOverride'];
const QUERIES = ['targets', 'datasource', 'interval', 'maxDataPoints', 'queryCachingTTL'];

export class PanelPreview extends SceneObjectBase<State> {
  /** Options of types that were chosen before, should one of them be chosen again. */
  readonly #tried = new Map<string, Pick<PanelJson, 'options' | 'fieldConfig'>>();
  #scene: DashboardScene;

  constructor(scene: DashboardScene, json: PanelJson) {
    super({ json, panel: editable(json) });
    this.#scene = scene;
    this.addActivationHandler(() => {
      const following = this.subscribeToState((next, before) => {
        if (next.panel !== before.panel) follow();
      });
      let stop = this.#followPanel();
      const follow = () => {
        stop();
        stop = this.#followPanel();
      };
      return () => {
        following.unsubscribe();
        stop();
      };
    });
  }

  /** Changes the panel: what is shown, and the dashboard that will be saved. */
  change(part: Partial<PanelJson>): void {
    const before = this.state.json;
    const json = Object.fromEntries(
      Object.entries({ ...before, ...part }).filter(([, value]) => value !== undefined),
    ) as PanelJson;
    this.setState({ json });
    const { dashboard } = this.#scene.state;
    record(this.#scene, { ...dashboard, panels: replacePanel(dashboard.panels, json) });
    const differs = (names: string[]) => names.some((name) => !isSame(before[name], json[name]));
    if (differs(FUNDAMENTAL)) this.#remake(json);
    else this.#show(before, json);
    if (differs(QUERIES)) this.#ask(json);
    if (differs(['transformations'])) this.#transform(json);
  }

  #show(before: PanelJson, { title, description, transparent, options, fieldConfig }: PanelJson): void {
    const { panel } = this.state;
    panel.setState({
      title: title ?? '',
      description: description ?? '',
      hoverHeader: !title,
      displayMode: transparent ? 'transparent' : 'default',
    });
    if (!isSame(before.options, options)) panel.onOptionsChange(structuredClone(options ?? {}), true);
    if (!isSame(before.fieldConfig, fieldConfig)) {
      const next = structuredClone(fieldConfig ?? { defaults: {}, overrides: [] }) as FieldConfigSource;
      panel.onFieldConfigChange(next, true);
      panel.clearFieldConfigCache();
      panel.forceRender();
    }
  }

  /** Another panel with the data of this one. */
  #remake(json: PanelJson): void {
    const data = this.state.panel.state.$data;
    const panel = editable(json);
    if (data) {
      data.clearParent();
      panel.setState({ $data: data });
    }
    this.setState({ panel });
  }

  #ask(json: PanelJson): void {
    const runner = runnerOf(this.state.panel.state.$data);
    if (!runner) return this.setState({ panel: editable(json) });
    runner.setState(queryState(json));
    runner.runQueries();
  }

  #transform({ transformations }: PanelJson): void {
    const data = this.state.panel.state.$data;
    if (!(data instanceof SceneDataTransformer)) return;
    data.setState({ transformations: transformations ?? [] });
    data.reprocessTransformations();
  }

  /** Colours and hidden series that are chosen in the legend, and widths of columns, are overrides. */
  #followPanel(): () => void {
    const following = this.state.panel.subscribeToState(({ fieldConfig }, before) => {
      if (fieldConfig === before.fieldConfig) return;
      const { json } = this.state;
      const own = json.fieldConfig ?? { defaults: {}, overrides: [] };
      if (isSame(own.overrides, fieldConfig.overrides)) return;
      const next = { ...own, overrides: structuredClone(fieldConfig.overrides) };
      this.setState({ json: { ...json, fieldConfig: next } });
      const { dashboard } = this.#scene.state;
      record(this.#scene, {
        ...dashboard,
        panels: replacePanel(dashboard.panels, { ...json, fieldConfig: next }),
      });
    });
    return () => following.unsubscribe();
  }

  /** Sets one of the panel's own options; those of an older version of the panel become current ones first. */
  setOption(plugin: PanelPlugin, path: string, value: unknown): void {
    const { json, panel } = this.state;
    const isOld = plugin.onPanelMigration && json.pluginVersion !== GRAFANA_VERSION;
    const options = isOld ? structuredClone(panel.state.options) : json.options;
    this.change({
      options: setIn(options, path, value),
      ...(isOld ? { pluginVersion: GRAFANA_VERSION } : {}),
    });
  }

  setField(path: string, value: unknown): void {
    const config = this.state.json.fieldConfig ?? { defaults: {}, overrides: [] };
    this.change({ fieldConfig: { ...config, defaults: setIn(config.defaults, path, value) } });
  }

  /** Makes it a panel of another type, with what both types understand. */
  setType(plugin: PanelPlugin): void {
    const { json } = this.state;
    const type = plugin.meta.id;
    if (type === json.type) return;
    this.#tried.set(json.type, {
      options: json.options ?? {},
      ...(json.fieldConfig ? { fieldConfig: json.fieldConfig } : {}),
    });
    this.change({
      type,
      pluginVersion: GRAFANA_VERSION,
      ...(this.#tried.get(type) ?? converted(json, plugin)),
    });
  }

  frames(): DataFrame[] {
    return this.state.panel.state.$data?.state.data?.series ?? [];
  }
}

/** A panel without the menu and the links that it has in the dashboard. */
function editable(json: PanelJson): VizPanel {
  const panel = vizPanel(structuredClone(json));
  panel.setState({ menu: undefined as never });
  return panel;
}

function runnerOf(data: SceneDataProvider | undefined): SceneQueryRunner | undefined {
  const inner = data instanceof SceneDataTransformer ? data.state.$data : data;
  return inner instanceof SceneQueryRunner ? inner : undefined;
}

/** What of a panel means something for another type: what that declares. */
export function converted(json: PanelJson, plugin: PanelPlugin): Pick<PanelJson, 'options' | 'fieldConfig'> {
  const defaults = (plugin.defaults ?? {}) as Record<string, unknown>;
  const options = Object.fromEntries(Object.entries(json.options ?? {}).filter(([name]) => name in defaults));
  const { defaults: fields = {}, overrides = [] } = json.fieldConfig ?? { defaults: {}, overrides: [] };
  const knows = (id: string) => Boolean(plugin.fieldConfigRegistry.getIfExists(id));
  const custom = isObject(fields.custom)
    ? Object.fromEntries(Object.entries(fields.custom).filter(([name]) => knows(`custom.${name}`)))
    : undefined;
  const { custom: _custom, ...standard } = fields;
  return {
    options,
    fieldConfig: {
      defaults: { ...standard, ...(custom && Object.keys(custom).length ? { custom } : {}) },
      overrides: overrides
        .map((override) => ({
          ...override,
          properties: override.properties.filter(({ id }) => knows(rootOf(id))),
        }))
        .filter(({ properties }) => properties.length),
    },
  };
}

/** Options below `custom` are declared by the first part of their path. */
const rootOf = (id: string) => (id.startsWith('custom.') ? id.split('.').slice(0, 2).join('.') : id);

/** What an option is: what the JSON says, or else what the plugin does. */
export const optionOf = (panel: VizPanel, path: string): unknown => getIn(panel.state.options, path);
