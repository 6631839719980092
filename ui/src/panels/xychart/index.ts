import { FieldColorModeId, FieldConfigProperty } from '@grafana/data';
import { definePanel } from '../define';
import { migrateXy } from './migrate';
import { XY_FIELD_OPTIONS, XY_OPTIONS, XyPanel } from './XyPanel';

export const plugin = definePanel({
  id: 'xychart',
  name: 'XY chart',
  component: XyPanel,
  options: XY_OPTIONS,
  migrate: migrateXy,
  custom: XY_FIELD_OPTIONS,
  standard: { [FieldConfigProperty.Color]: { defaultValue: { mode: FieldColorModeId.PaletteClassic } } },
});
