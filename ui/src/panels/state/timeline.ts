import { FieldColorModeId, FieldConfigProperty } from '@grafana/data';
import { definePanel } from '../define';
import { STATE_FIELD_OPTIONS, STATE_OPTIONS, StateTimelinePanel, type StateOptions } from './StatePanel';

export const plugin = definePanel<StateOptions>({
  id: 'state-timeline',
  name: 'State timeline',
  component: StateTimelinePanel,
  options: { ...STATE_OPTIONS, rowHeight: 0.9, mergeValues: true },
  custom: STATE_FIELD_OPTIONS,
  standard: { [FieldConfigProperty.Color]: { defaultValue: { mode: FieldColorModeId.ContinuousGrYlRd } } },
});
