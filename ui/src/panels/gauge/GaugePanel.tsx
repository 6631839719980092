import type { FieldDisplay, PanelProps } from '@grafana/data';
import { VizRepeater, useTheme2 } from '@grafana/ui';
import { VALUE_OPTIONS, displayValues, type ValueOptions } from '../shared/values';
import { WithLinks } from '../shared/WithLinks';
import { Arc } from './Arc';

interface GaugeOptions extends ValueOptions {
  showThresholdLabels: boolean;
  showThresholdMarkers: boolean;
  sizing: 'auto' | 'manual';
  minVizWidth: number;
  minVizHeight: number;
}

export const GAUGE_OPTIONS: GaugeOptions = {
  ...VALUE_OPTIONS,
  showThresholdLabels: false,
  showThresholdMarkers: true,
  sizing: 'auto',
  minVizWidth: 75,
  minVizHeight: 75,
};

export function GaugePanel(props: PanelProps<GaugeOptions>) {
  const theme = useTheme2();
  const { options, width, height, data, renderCounter } = props;
  const values = displayValues(props, theme);
  const named = values.length > 1 || Boolean(values[0]?.field.displayName);
  const smallest =
    options.sizing === 'manual'
      ? { minVizWidth: options.minVizWidth, minVizHeight: options.minVizHeight }
      : {};
  return (
    <VizRepeater<FieldDisplay>
      autoGrid
      getValues={() => values}
      renderValue={(shown) => (
        <WithLinks value={shown.value}>
          {({ openMenu, targetClassName }) => (
            <Arc
              value={shown.value}
              width={shown.width}
              height={shown.height}
              showTitle={named}
              text={options.text}
              showThresholdLabels={options.showThresholdLabels}
              showThresholdMarkers={options.showThresholdMarkers}
              onClick={openMenu}
              className={targetClassName}
            />
          )}
        </WithLinks>
      )}
      width={width}
      height={height}
      {...smallest}
      itemSpacing={8}
      source={data}
      renderCounter={renderCounter}
      orientation={options.orientation}
    />
  );
}
