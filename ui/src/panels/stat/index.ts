import { definePanel } from '../define';
import { STAT_OPTIONS, StatPanel } from './StatPanel';

export const plugin = definePanel({ id: 'stat', name: 'Stat', component: StatPanel, options: STAT_OPTIONS });
