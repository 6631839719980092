import { definePanel } from '../define';
import { BAR_GAUGE_OPTIONS, BarGaugePanel } from './BarGaugePanel';

export const plugin = definePanel({
  id: 'bargauge',
  name: 'Bar gauge',
  component: BarGaugePanel,
  options: BAR_GAUGE_OPTIONS,
});
