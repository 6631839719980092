import {
  getDisplayValueAlignmentFactors,
  type DisplayValueAlignmentFactors,
  type FieldDisplay,
  type PanelProps,
} from '@grafana/data';
import {
  BigValueColorMode,
  BigValueGraphMode,
  BigValueJustifyMode,
  BigValueTextMode,
  PercentChangeColorMode,
} from '@grafana/schema';
import { BigValue, VizRepeater, useTheme2, type VizRepeaterRenderValueProps } from '@grafana/ui';
import { VALUE_OPTIONS, displayValues, type ValueOptions } from '../shared/values';
import { WithLinks } from '../shared/WithLinks';

interface StatOptions extends ValueOptions {
  colorMode: BigValueColorMode;
  graphMode: BigValueGraphMode;
  justifyMode: BigValueJustifyMode;
  textMode: BigValueTextMode;
  percentChangeColorMode: PercentChangeColorMode;
  showPercentChange: boolean;
  wideLayout: boolean;
}

export const STAT_OPTIONS: StatOptions = {
  ...VALUE_OPTIONS,
  colorMode: BigValueColorMode.Value,
  graphMode: BigValueGraphMode.Area,
  justifyMode: BigValueJustifyMode.Auto,
  textMode: BigValueTextMode.Auto,
  percentChangeColorMode: PercentChangeColorMode.Standard,
  showPercentChange: false,
  wideLayout: true,
};

export function StatPanel(props: PanelProps<StatOptions>) {
  const theme = useTheme2();
  const { options, width, height, data, renderCounter } = props;
  const sparkline = options.graphMode !== BigValueGraphMode.None;
  const getValues = () =>
    displayValues(props, theme, { sparkline, percentChange: options.showPercentChange });
  return (
    <VizRepeater<FieldDisplay, DisplayValueAlignmentFactors>
      autoGrid
      // Values beside each other are written in one size.
      getAlignmentFactors={(values) => getDisplayValueAlignmentFactors(values)}
      getValues={getValues}
      renderValue={(shown) => <StatValue {...shown} options={options} />}
      width={width}
      height={height}
      itemSpacing={3}
      source={data}
      renderCounter={renderCounter}
      orientation={options.orientation}
    />
  );
}

function StatValue({
  value,
  width,
  height,
  count,
  alignmentFactors,
  options,
}: VizRepeaterRenderValueProps<FieldDisplay, DisplayValueAlignmentFactors> & { options: StatOptions }) {
  const theme = useTheme2();
  return (
    <WithLinks value={value}>
      {({ openMenu, targetClassName }) => (
        <BigValue
          value={value.display}
          count={count}
          alignmentFactors={alignmentFactors}
          disableWideLayout={!options.wideLayout}
          sparkline={value.sparkline}
          colorMode={options.colorMode}
          graphMode={options.graphMode}
          justifyMode={options.justifyMode}
          textMode={options.textMode}
          percentChangeColorMode={options.percentChangeColorMode}
          text={options.text}
          width={width}
          height={height}
          theme={theme}
          onClick={openMenu}
          className={targetClassName}
        />
      )}
    </WithLinks>
  );
}
