import { definePanel } from '../define';
import { TEXT_OPTIONS, TextPanel, migrateText } from './TextPanel';

export const plugin = definePanel({
  id: 'text',
  name: 'Text',
  component: TextPanel,
  options: TEXT_OPTIONS,
  skipDataQuery: true,
  migrate: migrateText,
});
