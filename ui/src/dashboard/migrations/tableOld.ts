/** The table panel of before version 7: styles of columns became overrides, its ways to make rows transformations. */
import type { DataTransformerConfig } from '@grafana/data';
import type { PanelJson } from '../model';
import { overrideFor, reducerOf, seriesMatcher } from './shared';

type Loose = Record<string, unknown>;

interface OldStyle {
  pattern?: string;
  alias?: string;
  type?: string;
  unit?: string;
  decimals?: number | null;
  align?: string;
  dateFormat?: string;
  link?: boolean;
  linkUrl?: string;
  linkTooltip?: string;
  linkTargetBlank?: boolean;
  colorMode?: string | null;
  colors?: string[];
  thresholds?: (string | number)[];
  mappingType?: number;
  valueMaps?: { value?: string; text?: string }[];
}

interface OldTable extends PanelJson {
  styles?: OldStyle[];
  columns?: { text: string; value: string }[];
  transform?: string;
  sort?: { col?: number | null; desc?: boolean };
}

const OLD = ['styles', 'columns', 'transform', 'sort', 'fontSize', 'pageSize', 'scroll', 'showHeader']; // prettier-ignore

export function migrateTableOld(panel: PanelJson): void {
  const old = panel as OldTable;
  const styles = old.styles ?? [];
  // A style for everything is what fields have where no other matches.
  const general = styles.find(({ pattern }) => pattern === '/.*/');
  const overrides = styles.filter((style) => style !== general && style.pattern).flatMap(styleOverride);
  panel.type = 'table';
  panel.options = { showHeader: old.showHeader !== false };
  panel.fieldConfig = {
    defaults: {
      ...(general ? generalDefaults(general) : {}),
      custom: { align: general?.align ?? 'auto' },
    } as never,
    overrides: overrides as never,
  };
  panel.transformations = [...rows(old), ...(panel.transformations ?? [])];
  for (const name of OLD) delete panel[name];
}

function generalDefaults({ unit, decimals }: OldStyle): Loose {
  return { ...(unit ? { unit } : {}), ...(decimals === null || decimals === undefined ? {} : { decimals }) };
}

function styleOverride(style: OldStyle) {
  const {
    pattern = '',
    alias,
    type,
    unit,
    decimals,
    align,
    link,
    linkUrl,
    linkTooltip,
    linkTargetBlank,
  } = style;
  const properties: Loose = {};
  if (alias) properties.displayName = alias;
  if (align && align !== 'auto') properties['custom.align'] = align;
  if (type === 'hidden') properties['custom.hideFrom'] = { viz: true };
  if (type === 'date') properties.unit = style.dateFormat ? `time: ${style.dateFormat}` : 'dateTimeAsIso';
  if (type === 'number' && unit) properties.unit = unit;
  if (type === 'number' && decimals !== null && decimals !== undefined) properties.decimals = decimals;
  if (link && linkUrl) {
    const title = linkTooltip ?? '';
    properties.links = [{ title, url: cellVariables(linkUrl), targetBlank: linkTargetBlank ?? false }];
  }
  Object.assign(properties, colours(style), mappings(style));
  return Object.keys(properties).length ? [overrideFor(seriesMatcher(pattern), properties)] : [];
}

/** `$__cell` was the cell, `$__cell_3` the third of its row. */
const cellVariables = (url: string) =>
  url
    .replace(/\$\{?__cell_(\d+)\}?/g, '${__data.fields[$1]}')
    .replace(/\$\{?__cell(?::raw)?\}?/g, '${__value.raw}');

function colours({ colorMode, colors, thresholds }: OldStyle): Loose {
  if (!colorMode || !colors?.length) return {};
  const values = (thresholds ?? []).map(Number).filter((value) => !Number.isNaN(value));
  const steps = [-Infinity, ...values].map((value, index) => ({
    value,
    color: colors[index] ?? colors.at(-1),
  }));
  const type = colorMode === 'value' ? 'color-text' : 'color-background';
  return {
    thresholds: { mode: 'absolute', steps },
    'custom.cellOptions': { type, ...(colorMode === 'row' ? { applyToRow: true } : {}) },
  };
}

function mappings({ valueMaps, mappingType }: OldStyle): Loose {
  if (mappingType === 2 || !valueMaps?.length) return {};
  const options = Object.fromEntries(valueMaps.map(({ value = '', text = '' }) => [value, { text }]));
  return { mappings: [{ type: 'value', options }] };
}

function rows({ transform, columns }: OldTable): DataTransformerConfig[] {
  switch (transform) {
    case 'timeseries_aggregations':
      return [
        {
          id: 'reduce',
          options: {
            reducers: (columns ?? []).map(({ value }) => reducerOf(value)),
            includeTimeField: false,
          },
        },
      ];
    case 'timeseries_to_columns':
      return [{ id: 'joinByField', options: { byField: 'Time', mode: 'outer' } }];
    case 'timeseries_to_rows':
      return [{ id: 'seriesToRows', options: {} }];
    default:
      return [{ id: 'merge', options: {} }];
  }
}
