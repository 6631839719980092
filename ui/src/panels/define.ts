import type { FieldConfigProperty } from '@grafana/data';
import {
  PanelPlugin,
  PluginType,
  type PanelMigrationHandler,
  type PanelPluginMeta,
  type PanelProps,
  type StandardOptionConfig,
} from '@grafana/data';
import type { ComponentType } from 'react';
import { GRAFANA_VERSION } from '~/grafana-host/version';
import { NoEditor } from '~/grafana-host/NoEditor';

export interface PanelDefinition<Options extends object> {
  /** The type dashboards name it by. */
  id: string;
  name: string;
  component: ComponentType<PanelProps<Options>>;
  /** What options are where a dashboard says nothing. */
  options: Options;
  /** Field options of its own, below `custom`, with their defaults. */
  custom?: Record<string, unknown>;
  /** Defaults and settings of the standard field options. */
  standard?: Partial<Record<FieldConfigProperty, StandardOptionConfig>>;
  /** Whether it draws annotations. */
  annotations?: boolean;
  /** For panels that show no data. */
  skipDataQuery?: boolean;
  /** Options of older versions of the panel made into those of this one. */
  migrate?: PanelMigrationHandler<Options>;
}

/** A panel as the Grafana packages want it: its editors are empty, and carry the defaults. */
export function definePanel<Options extends object>(definition: PanelDefinition<Options>): PanelPlugin {
  const {
    id,
    name,
    component,
    options,
    custom = {},
    standard,
    skipDataQuery,
    migrate,
    annotations,
  } = definition;
  const plugin = new PanelPlugin<Options>(component);
  plugin.meta = describe(id, name, skipDataQuery ?? false);
  plugin.useFieldConfig({
    ...(standard ? { standardOptions: standard } : {}),
    useCustomConfig: (builder) => {
      for (const [path, defaultValue] of Object.entries(custom)) {
        builder.addCustomEditor({
          id: path,
          path: path as never,
          name: path,
          defaultValue: defaultValue as never,
          editor: NoEditor,
          override: NoEditor,
          process: (value) => value,
          shouldApply: () => true,
        });
      }
    },
  });
  plugin.setPanelOptions((builder) => {
    for (const [path, defaultValue] of Object.entries(options)) {
      builder.addCustomEditor({ id: path, path: path as never, name: path, defaultValue, editor: NoEditor });
    }
  });
  if (annotations) plugin.setDataSupport({ annotations: true, alertStates: false });
  if (migrate) plugin.setMigrationHandler(migrate);
  return plugin as unknown as PanelPlugin;
}

function describe(id: string, name: string, skipDataQuery: boolean): PanelPluginMeta {
  return {
    id,
    name,
    type: PluginType.panel,
    module: '',
    baseUrl: '',
    sort: 0,
    skipDataQuery,
    info: {
      author: { name: '' },
      description: '',
      links: [],
      logos: { large: '', small: '' },
      screenshots: [],
      updated: '',
      version: GRAFANA_VERSION,
    },
  };
}
