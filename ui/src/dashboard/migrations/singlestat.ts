/** The single stat panel of before version 7, and options of stat, gauge and bar gauge of about then. */
import type { PanelJson } from '../model';
import { migrateMappings, type ThresholdStep } from './fieldConfig';
import { reducerOf } from './shared';

type Loose = Record<string, unknown>;

interface OldSinglestat extends PanelJson {
  format?: string;
  decimals?: number | null;
  valueName?: string;
  prefix?: string;
  postfix?: string;
  nullText?: string;
  colorBackground?: boolean;
  colorValue?: boolean;
  colors?: string[];
  thresholds?: string;
  sparkline?: { show?: boolean; ymin?: number | null; ymax?: number | null };
  gauge?: {
    show?: boolean;
    minValue?: number;
    maxValue?: number;
    thresholdMarkers?: boolean;
    thresholdLabels?: boolean;
  };
  mappingType?: number;
  valueMaps?: { value?: string; text?: string }[];
  rangeMaps?: { from?: string; to?: string; text?: string }[];
  tableColumn?: string;
}

const OLD = [
  'format', 'decimals', 'valueName', 'prefix', 'postfix', 'nullText', 'colorBackground', 'colorValue', 'colors', 'thresholds', 'sparkline',
  'gauge', 'mappingType', 'mappingTypes', 'valueMaps', 'rangeMaps', 'tableColumn', 'prefixFontSize', 'postfixFontSize', 'valueFontSize', 'nullPointMode',
  'colorPrefix', 'colorPostfix',
]; // prettier-ignore

export function migrateSinglestat(panel: PanelJson): void {
  const old = panel as OldSinglestat;
  const isGauge = old.gauge?.show ?? false;
  const thresholds =
    old.thresholds && old.colors ? { mode: 'absolute', steps: steps(old.thresholds, old.colors) } : undefined;
  const mappings = migrateMappings(
    old.mappingType === 2
      ? (old.rangeMaps ?? []).map((map) => ({ type: 2, ...map }))
      : (old.valueMaps ?? []).map(({ value, text }) => ({ type: 1, value: value ?? '', text: text ?? '' })),
    thresholds,
  );
  panel.fieldConfig = {
    defaults: {
      ...(old.format ? { unit: unit(old) } : {}),
      ...(old.decimals === null || old.decimals === undefined ? {} : { decimals: old.decimals }),
      ...(thresholds ? { thresholds } : {}),
      ...(mappings.length ? { mappings } : {}),
      ...(old.nullText ? { noValue: old.nullText } : {}),
      ...(isGauge ? { min: old.gauge?.minValue ?? 0, max: old.gauge?.maxValue ?? 100 } : {}),
      ...(!isGauge && old.sparkline?.ymin != null ? { min: old.sparkline.ymin } : {}),
      ...(!isGauge && old.sparkline?.ymax != null ? { max: old.sparkline.ymax } : {}),
      color: { mode: 'thresholds' },
    } as never,
    overrides: [],
  };
  panel.options = {
    reduceOptions: {
      calcs: [reducerOf(old.valueName ?? 'avg')],
      values: false,
      fields: old.tableColumn && old.tableColumn !== 'Value' ? `/^${old.tableColumn}$/` : '',
    },
    ...(isGauge ? gaugeOptions(old) : statOptions(old)),
  };
  panel.type = isGauge ? 'gauge' : 'stat';
  for (const name of OLD) delete panel[name];
}

/** Text before and after the value became part of its unit. */
function unit({ format = 'none', prefix, postfix }: OldSinglestat): string {
  const plain = format === 'none' || format === 'short';
  if (postfix && plain) return `suffix:${postfix}`;
  if (prefix && plain) return `prefix:${prefix}`;
  return format;
}

function steps(text: string, colors: string[]): ThresholdStep[] {
  const values = text
    .split(',')
    .map((value) => Number(value.trim()))
    .filter((value) => !Number.isNaN(value));
  return [-Infinity, ...values].map((value, index) => ({
    color: colors[index] ?? colors.at(-1) ?? 'green',
    value,
  }));
}

const gaugeOptions = ({ gauge }: OldSinglestat): Loose => ({
  showThresholdMarkers: gauge?.thresholdMarkers ?? true,
  showThresholdLabels: gauge?.thresholdLabels ?? false,
});

function statOptions({ colorBackground, colorValue, sparkline, valueName }: OldSinglestat): Loose {
  return {
    colorMode: colorBackground ? 'background' : colorValue ? 'value' : 'none',
    graphMode: sparkline?.show ? 'area' : 'none',
    justifyMode: 'auto',
    textMode: valueName === 'name' ? 'name' : 'auto',
    orientation: 'horizontal',
  };
}

/** Stat, gauge and bar gauge kept what belongs to fields among their options until version 7. */
export function migrateReducedValues(panel: PanelJson): void {
  const options = panel.options;
  const old = options?.fieldOptions as Loose | undefined;
  if (!options || !old) return;
  delete options.fieldOptions;
  const { calcs, values, limit, defaults, overrides, mappings, thresholds, unit: oldUnit } = old;
  options.reduceOptions ??= {
    calcs: ((calcs as string[] | undefined) ?? ['mean']).map(reducerOf),
    values: values ?? false,
    ...(limit ? { limit } : {}),
    fields: '',
  };
  panel.fieldConfig ??= {
    defaults: {
      ...(defaults as Loose | undefined),
      ...(mappings ? { mappings } : {}),
      ...(oldUnit ? { unit: oldUnit } : {}),
      ...(Array.isArray(thresholds) ? { thresholds: { mode: 'absolute', steps: thresholds } } : {}),
    } as never,
    overrides: (overrides as never) ?? [],
  };
}
