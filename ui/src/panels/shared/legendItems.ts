/** Legends of the panels that draw by themselves. */
import {
  fieldReducers,
  formattedValueToString,
  getDisplayProcessor,
  reduceField,
  type DisplayValue,
  type Field,
  type GrafanaTheme2,
} from '@grafana/data';
import type { VizLegendOptions } from '@grafana/schema';
import type { VizLegendItem } from '@grafana/ui';

interface Hidden {
  viz?: boolean;
  legend?: boolean;
  tooltip?: boolean;
}

/** Where a field is not shown. */
export const hiddenFrom = ({ config }: Pick<Field, 'config'>): Hidden =>
  (config.custom as { hideFrom?: Hidden } | undefined)?.hideFrom ?? {};

export interface Named {
  field: Field;
  name: string;
  color: string;
}

/** An entry for each series, with what is worked out of its values; those that are hidden stay to be shown again. */
export function legendItems(
  series: Named[],
  { calcs = [] }: Partial<VizLegendOptions>,
  theme: GrafanaTheme2,
): VizLegendItem[] {
  return series
    .filter(({ field }) => !hiddenFrom(field).legend)
    .map(({ field, name, color }) => ({
      label: name,
      fieldName: name,
      color: theme.visualization.getColorByName(color),
      yAxis: 1,
      disabled: hiddenFrom(field).viz ?? false,
      getDisplayValues: () => calculated(field, calcs, theme),
    }));
}

function calculated(field: Field, calcs: string[], theme: GrafanaTheme2): DisplayValue[] {
  if (!calcs.length) return [];
  const found = reduceField({ field, reducers: calcs });
  const display = field.display ?? getDisplayProcessor({ field, theme });
  // Counts and the like are not in the unit of the field.
  const plain = getDisplayProcessor({ field: { ...field, config: { decimals: 0 } }, theme });
  return calcs.map((calc) => {
    const reducer = fieldReducers.get(calc);
    const shown = (reducer.preservesUnits === false ? plain : display)(found[calc]);
    return { ...shown, title: reducer.name, text: formattedValueToString(shown), suffix: '', prefix: '' };
  });
}
