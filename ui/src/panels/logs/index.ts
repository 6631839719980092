import { definePanel } from '../define';
import { LOGS_OPTIONS, LogsPanel } from './LogsPanel';

export const plugin = definePanel({ id: 'logs', name: 'Logs', component: LogsPanel, options: LOGS_OPTIONS });
