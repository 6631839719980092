import { FieldColorModeId, FieldConfigProperty } from '@grafana/data';
import { definePanel } from '../define';
import { BAR_FIELD_OPTIONS, BAR_OPTIONS, BarChartPanel } from './BarChartPanel';

export const plugin = definePanel({
  id: 'barchart',
  name: 'Bar chart',
  component: BarChartPanel,
  options: BAR_OPTIONS,
  custom: BAR_FIELD_OPTIONS,
  standard: { [FieldConfigProperty.Color]: { defaultValue: { mode: FieldColorModeId.PaletteClassic } } },
});
