import { FieldColorModeId, FieldConfigProperty } from '@grafana/data';
import { definePanel } from '../define';
import { HISTOGRAM_OPTIONS, HistogramPanel } from './HistogramPanel';

export const plugin = definePanel({
  id: 'histogram',
  name: 'Histogram',
  component: HistogramPanel,
  options: HISTOGRAM_OPTIONS,
  custom: {
    lineWidth: 1,
    fillOpacity: 80,
    gradientMode: 'none',
    stacking: { mode: 'none', group: 'A' },
    hideFrom: { tooltip: false, viz: false, legend: false },
  },
  standard: { [FieldConfigProperty.Color]: { defaultValue: { mode: FieldColorModeId.PaletteClassic } } },
});
