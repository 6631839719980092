import type { PanelJson } from '../model';

/** What a panel that was just added is. */
export const NEW_PANEL: Omit<PanelJson, 'id' | 'gridPos'> = {
  type: 'timeseries',
  title: 'New panel',
  targets: [{ refId: 'A', expr: '' }],
  options: {},
  fieldConfig: { defaults: {}, overrides: [] },
};
