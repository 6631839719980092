import { definePanel } from '../define';
import { HEATMAP_OPTIONS, HeatmapPanel } from './HeatmapPanel';

export const plugin = definePanel({
  id: 'heatmap',
  name: 'Heatmap',
  component: HeatmapPanel,
  options: HEATMAP_OPTIONS,
  custom: { scaleDistribution: { type: 'linear' }, hideFrom: { tooltip: false, viz: false, legend: false } },
});
