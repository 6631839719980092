/**
 * The standard field options, editors and transformations, which Grafana's core registers and its packages
 * only look up. Editors are empty here: options are declared for their default values and for the processing of
 * overrides.
 */
import {
  type FieldConfigPropertyItem,
  FieldColorModeId,
  FieldType,
  ThresholdsMode,
  booleanOverrideProcessor,
  dataLinksOverrideProcessor,
  displayNameOverrideProcessor,
  identityOverrideProcessor,
  numberOverrideProcessor,
  standardEditorsRegistry,
  standardFieldConfigEditorRegistry,
  standardTransformers,
  standardTransformersRegistry,
  stringOverrideProcessor,
  thresholdsOverrideProcessor,
  unitOverrideProcessor,
  valueMappingsOverrideProcessor,
  type DataTransformerInfo,
  type Field,
  type StandardEditorsRegistryItem,
  type TransformerRegistryItem,
} from '@grafana/data';
import { ownTransformers } from '~/transformations';
import { NoEditor } from './NoEditor';

type Process = FieldConfigPropertyItem['process'];

interface StandardOption {
  process: Process;
  defaultValue?: unknown;
  /** Whether it means something for a field; numbers only where this says so. */
  numbersOnly?: boolean;
}

const STANDARD_OPTIONS: Record<string, StandardOption> = {
  displayName: { process: displayNameOverrideProcessor as Process },
  unit: { process: unitOverrideProcessor as Process },
  min: { process: numberOverrideProcessor as Process, numbersOnly: true },
  max: { process: numberOverrideProcessor as Process, numbersOnly: true },
  fieldMinMax: { process: booleanOverrideProcessor as Process, numbersOnly: true },
  decimals: { process: numberOverrideProcessor as Process, numbersOnly: true },
  noValue: { process: stringOverrideProcessor as Process },
  color: {
    process: identityOverrideProcessor as Process,
    defaultValue: { mode: FieldColorModeId.Thresholds },
  },
  links: { process: dataLinksOverrideProcessor as Process },
  actions: { process: identityOverrideProcessor as Process },
  mappings: { process: valueMappingsOverrideProcessor as Process, defaultValue: [] },
  thresholds: {
    process: thresholdsOverrideProcessor as Process,
    defaultValue: {
      mode: ThresholdsMode.Absolute,
      steps: [
        { value: -Infinity, color: 'green' },
        { value: 80, color: 'red' },
      ],
    },
  },
  filterable: { process: booleanOverrideProcessor as Process },
  description: { process: stringOverrideProcessor as Process },
};

const EDITORS = [
  'text', 'number', 'boolean', 'radio', 'select', 'multi-select', 'unit', 'color', 'fieldColor', 'slider', 'stats-picker',
  'strings', 'timezone', 'field-name', 'links', 'actions', 'mappings', 'thresholds', 'dashboard-uid',
]; // prettier-ignore

export function initRegistries(): void {
  standardFieldConfigEditorRegistry.setInit(() => Object.entries(STANDARD_OPTIONS).map(standardOption));
  standardEditorsRegistry.setInit(() =>
    EDITORS.map((id) => ({ id, name: id, editor: NoEditor }) as unknown as StandardEditorsRegistryItem),
  );
  standardTransformersRegistry.setInit(transformers);
}

function standardOption([id, { process, defaultValue, numbersOnly }]: [
  string,
  StandardOption,
]): FieldConfigPropertyItem {
  return {
    id,
    path: id,
    name: id,
    editor: NoEditor,
    override: NoEditor,
    process,
    defaultValue,
    settings: {},
    category: ['Standard options'],
    shouldApply: numbersOnly ? (field: Field) => field.type === FieldType.number : () => true,
  } as unknown as FieldConfigPropertyItem;
}

function transformers(): TransformerRegistryItem[] {
  // Some are there under two names; a registry refuses an id that comes twice. The own ones come first.
  const byId = new Map<string, DataTransformerInfo>();
  for (const transformer of [
    ...ownTransformers,
    ...(Object.values(standardTransformers) as DataTransformerInfo[]),
  ]) {
    if (!byId.has(transformer.id)) byId.set(transformer.id, transformer);
  }
  return [...byId.values()].map(
    (transformer) =>
      ({
        id: transformer.id,
        name: transformer.name,
        description: transformer.description,
        editor: NoEditor,
        transformation: () => Promise.resolve(transformer),
      }) as unknown as TransformerRegistryItem,
  );
}
