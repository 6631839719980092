import { FieldColorModeId, FieldConfigProperty } from '@grafana/data';
import { definePanel } from '../define';
import { PIE_OPTIONS, PiePanel } from './PiePanel';

export const plugin = definePanel({
  id: 'piechart',
  name: 'Pie chart',
  component: PiePanel,
  options: PIE_OPTIONS,
  custom: { hideFrom: { tooltip: false, viz: false, legend: false } },
  standard: { [FieldConfigProperty.Color]: { defaultValue: { mode: FieldColorModeId.PaletteClassic } } },
});
