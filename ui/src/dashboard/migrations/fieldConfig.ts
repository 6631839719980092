/** How fields look: mappings, thresholds and colours as older versions and some generators write them. */
import type { PanelJson } from '../model';

type Loose = Record<string, unknown>;

export interface ThresholdStep {
  color: string;
  value: number | null | undefined;
}

/** Generators leave out the half that they do not need. */
export function completeFieldConfig({ fieldConfig }: PanelJson): void {
  if (!fieldConfig) return;
  fieldConfig.defaults ??= {};
  fieldConfig.overrides ??= [];
}

export function migrateFieldConfig(panel: PanelJson): void {
  const config = panel.fieldConfig;
  if (!config) return;
  const defaults = config.defaults as Loose;
  if (defaults.mappings)
    defaults.mappings = migrateMappings(defaults.mappings as OldMapping[], defaults.thresholds);
  if (defaults.thresholds) defaults.thresholds = migrateThresholds(defaults.thresholds);
  if (typeof defaults.color === 'string') defaults.color = fixedColor(defaults.color);
  for (const { properties } of config.overrides) {
    for (const property of properties) {
      if (property.id === 'mappings')
        property.value = migrateMappings(property.value as OldMapping[], undefined);
      if (property.id === 'thresholds') property.value = migrateThresholds(property.value);
      if (property.id === 'color' && typeof property.value === 'string')
        property.value = fixedColor(property.value);
    }
  }
}

/** Colours of overrides written as only a colour. */
const fixedColor = (color: string) => ({ mode: 'fixed', fixedColor: color });

/** The first step holds for everything below the second; JSON cannot say minus infinity and has nothing there. */
export function migrateThresholds(stored: unknown): { mode: string; steps: ThresholdStep[] } {
  const { mode = 'absolute', steps } = (stored ?? {}) as { mode?: string; steps?: ThresholdStep[] };
  const others = stored as object | undefined;
  if (!steps?.length) return { ...others, mode, steps: [{ color: 'green', value: -Infinity }] };
  return {
    ...others,
    mode,
    steps: steps.map((step, index) => ({
      ...step,
      value: index === 0 || step.value === null ? -Infinity : (step.value ?? 0),
    })),
  };
}

/** A mapping before version 30: 1 is of one value, 2 of a range. */
interface OldMapping extends Loose {
  type?: number | string;
  value?: string | null;
  text?: string;
  from?: string | number;
  to?: string | number;
}

export function migrateMappings(mappings: OldMapping[] | undefined, thresholds: unknown): Loose[] {
  const migrated: Loose[] = [];
  const values: Loose = {};
  for (const mapping of mappings ?? []) {
    if (typeof mapping.type === 'string' && mapping.options) {
      migrated.push(mapping);
      continue;
    }
    const { value, text = '', from, to } = mapping;
    const result = { text, ...coloured(value ?? from, thresholds) };
    if (Number(mapping.type) === 2) {
      const isNull = from === 'null';
      const options = isNull ? { match: 'null', result } : { from: number(from), to: number(to), result };
      migrated.push({ type: isNull ? 'special' : 'range', options });
    } else if (value === 'null' || value === null) {
      migrated.push({ type: 'special', options: { match: 'null', result } });
    } else if (value !== undefined) {
      values[value] = result;
    }
  }
  if (Object.keys(values).length) migrated.unshift({ type: 'value', options: values });
  return migrated;
}

const number = (text: unknown) => (text === undefined || text === '' || text === null ? null : Number(text));

/** Before mappings had colours of their own, the threshold of the mapped value gave it. */
function coloured(value: unknown, thresholds: unknown): { color?: string } {
  const at = Number(value);
  const steps = (thresholds as { steps?: ThresholdStep[] } | undefined)?.steps;
  if (!steps || value === null || value === undefined || Number.isNaN(at)) return {};
  const step = steps.findLast((candidate) => at >= (candidate.value ?? -Infinity));
  return step ? { color: step.color } : {};
}
