import type { VariableJson } from '../model';

/** Versions 27 to 29 of the schema, and what servers kept in variables for themselves. */
export function migrateVariable(variable: VariableJson): void {
  delete variable.tags;
  delete variable.tagsQuery;
  delete variable.tagValuesQuery;
  delete variable.useTags;
  if (variable.type === 'query') delete variable.options;
  // A constant has nothing to choose.
  if (variable.type === 'constant' && !variable.hide) variable.hide = 2;
  if (variable.hide === ('' as never) || variable.hide === undefined) variable.hide = 0;
}
