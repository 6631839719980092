/** Field options of tables that newer versions say otherwise. */
import type { FieldConfigSource, PanelModel } from '@grafana/data';
import type { TableOptions } from './TablePanel';

type Custom = Record<string, unknown>;

interface CellOptions {
  type: string;
  mode?: string;
  applyToRow?: boolean;
}

/** Cells were of a display mode before they had options. */
const CELLS: Record<string, CellOptions> = {
  'lcd-gauge': { type: 'gauge', mode: 'lcd' },
  'gradient-gauge': { type: 'gauge', mode: 'gradient' },
  basic: { type: 'gauge', mode: 'basic' },
  'color-background': { type: 'color-background', mode: 'gradient' },
  'color-background-solid': { type: 'color-background', mode: 'basic' },
};

const cellOptions = (displayMode: string): CellOptions => CELLS[displayMode] ?? { type: displayMode };

export function migrateTable(panel: PanelModel<TableOptions>): Partial<TableOptions> {
  const source = panel.fieldConfig as FieldConfigSource<Custom> | undefined;
  const custom = source?.defaults.custom;
  if (custom) migrateDefaults(custom);
  for (const { properties } of source?.overrides ?? []) {
    for (const property of properties) {
      if (property.id === 'custom.displayMode') {
        property.id = 'custom.cellOptions';
        property.value = cellOptions(String(property.value));
      } else if (property.id === 'custom.hidden' || property.id === 'custom.hideFrom.viz') {
        // Dashboards have it as text, too.
        property.id = 'custom.hideFrom';
        property.value = { viz: property.value === true || property.value === 'true' };
      } else if (property.id === 'custom.align' && property.value === null) {
        property.value = 'auto';
      }
    }
  }
  return migrateFooter(panel, source);
}

function migrateDefaults(custom: Custom): void {
  if (typeof custom.displayMode === 'string' && !custom.cellOptions)
    custom.cellOptions = cellOptions(custom.displayMode);
  delete custom.displayMode;
  if (custom.hidden !== undefined) {
    custom.hideFrom = { viz: Boolean(custom.hidden) };
    delete custom.hidden;
  }
  if (custom.align === null) custom.align = 'auto';
}

interface OldFooter {
  show?: boolean;
  reducer?: string[];
  countRows?: boolean;
  fields?: string | string[];
}

/** One footer for the table became one for each field. */
function migrateFooter(
  panel: PanelModel<TableOptions>,
  source: FieldConfigSource<Custom> | undefined,
): Partial<TableOptions> {
  const { footer, ...options } = panel.options as Partial<TableOptions> & { footer?: OldFooter };
  if (!footer?.show || !source) return options;
  const reducers = footer.countRows ? ['countAll'] : (footer.reducer ?? ['sum']);
  const fields = [footer.fields ?? []].flat().filter(Boolean);
  if (!fields.length) {
    source.defaults.custom = { ...source.defaults.custom, footer: { reducers } };
    return options;
  }
  for (const name of fields) {
    source.overrides.push({
      matcher: { id: 'byName', options: name },
      properties: [{ id: 'custom.footer', value: { reducers } }],
    });
  }
  return options;
}
