import { definePanel } from '../define';
import { GAUGE_OPTIONS, GaugePanel } from './GaugePanel';

export const plugin = definePanel({
  id: 'gauge',
  name: 'Gauge',
  component: GaugePanel,
  options: GAUGE_OPTIONS,
});
