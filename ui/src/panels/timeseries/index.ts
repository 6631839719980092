import { FieldColorModeId, FieldConfigProperty } from '@grafana/data';
import { definePanel } from '../define';
import { GRAPH_FIELD_OPTIONS } from './fieldOptions';
import { TIME_SERIES_OPTIONS, TimeSeriesPanel } from './TimeSeriesPanel';

export const plugin = definePanel({
  id: 'timeseries',
  name: 'Time series',
  component: TimeSeriesPanel,
  options: TIME_SERIES_OPTIONS,
  annotations: true,
  custom: GRAPH_FIELD_OPTIONS,
  standard: {
    [FieldConfigProperty.Color]: {
      settings: { byValueSupport: true, bySeriesSupport: true, preferThresholdsMode: false },
      defaultValue: { mode: FieldColorModeId.PaletteClassic },
    },
  },
});
