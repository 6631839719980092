import { FieldColorModeId, FieldConfigProperty } from '@grafana/data';
import { definePanel } from '../define';
import { STATE_FIELD_OPTIONS, STATE_OPTIONS, StatusHistoryPanel, type StateOptions } from './StatePanel';

export const plugin = definePanel<StateOptions>({
  id: 'status-history',
  name: 'Status history',
  component: StatusHistoryPanel,
  options: { ...STATE_OPTIONS, rowHeight: 0.9, colWidth: 0.9 },
  custom: { ...STATE_FIELD_OPTIONS, lineWidth: 1 },
  standard: { [FieldConfigProperty.Color]: { defaultValue: { mode: FieldColorModeId.Thresholds } } },
});
