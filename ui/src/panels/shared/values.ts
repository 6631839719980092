/** Single values, as stat, gauges and bar gauges show them. */
import { getFieldDisplayValues, type FieldDisplay, type GrafanaTheme2, type PanelProps } from '@grafana/data';
import { VizOrientation, type ReduceDataOptions } from '@grafana/schema';

export interface ValueOptions {
  reduceOptions: ReduceDataOptions;
  orientation: VizOrientation;
  text?: { titleSize?: number; valueSize?: number; percentSize?: number };
}

export const VALUE_OPTIONS: ValueOptions = {
  reduceOptions: { calcs: ['lastNotNull'], values: false, fields: '' },
  orientation: VizOrientation.Auto,
};

type Shown = Pick<
  PanelProps<ValueOptions>,
  'fieldConfig' | 'options' | 'data' | 'replaceVariables' | 'timeZone'
>;

export function displayValues(
  { fieldConfig, options, data, replaceVariables, timeZone }: Shown,
  theme: GrafanaTheme2,
  { sparkline = false, percentChange = false } = {},
): FieldDisplay[] {
  return getFieldDisplayValues({
    fieldConfig,
    reduceOptions: options.reduceOptions,
    replaceVariables,
    theme,
    data: data.series,
    sparkline,
    percentChange,
    timeZone,
  });
}
