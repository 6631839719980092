import { FieldConfigProperty } from '@grafana/data';
import { definePanel } from '../define';
import { TABLE_FIELD_OPTIONS, TABLE_OPTIONS, TablePanel } from './TablePanel';
import { migrateTable } from './migrate';

export const plugin = definePanel({
  id: 'table',
  name: 'Table',
  component: TablePanel,
  options: TABLE_OPTIONS,
  custom: TABLE_FIELD_OPTIONS,
  standard: { [FieldConfigProperty.Filterable]: { hideFromDefaults: true } },
  migrate: migrateTable,
});
