import type { PanelJson, Target } from '../model';

/** A query that was just added: series are called by the labels that differ. */
export const NEW_TARGET: Target = { expr: '', legendFormat: '__auto' };

/** What a panel that was just added is. */
export const NEW_PANEL: Omit<PanelJson, 'id' | 'gridPos'> = {
  type: 'timeseries',
  title: 'New panel',
  targets: [{ refId: 'A', ...NEW_TARGET }],
  options: {},
  fieldConfig: { defaults: {}, overrides: [] },
};
