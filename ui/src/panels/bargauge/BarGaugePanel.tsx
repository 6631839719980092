import {
  VizOrientation,
  getDisplayValueAlignmentFactors,
  type DisplayValueAlignmentFactors,
  type FieldDisplay,
  type PanelProps,
} from '@grafana/data';
import {
  BarGaugeDisplayMode,
  BarGaugeNamePlacement,
  BarGaugeSizing,
  BarGaugeValueMode,
} from '@grafana/schema';
import {
  BarGauge,
  VizLayout,
  VizLegend,
  VizRepeater,
  useTheme2,
  type VizRepeaterRenderValueProps,
} from '@grafana/ui';
import { VALUE_OPTIONS, displayValues, type ValueOptions } from '../shared/values';
import { WithLinks } from '../shared/WithLinks';
import type { VizLegendOptions } from '@grafana/schema';

interface BarGaugeOptions extends ValueOptions {
  displayMode: BarGaugeDisplayMode;
  valueMode: BarGaugeValueMode;
  namePlacement: BarGaugeNamePlacement;
  sizing: BarGaugeSizing;
  showUnfilled: boolean;
  minVizWidth: number;
  minVizHeight: number;
  maxVizHeight: number;
  legend: Partial<VizLegendOptions>;
}

export const BAR_GAUGE_OPTIONS: BarGaugeOptions = {
  ...VALUE_OPTIONS,
  displayMode: BarGaugeDisplayMode.Gradient,
  valueMode: BarGaugeValueMode.Color,
  namePlacement: BarGaugeNamePlacement.Auto,
  sizing: BarGaugeSizing.Auto,
  showUnfilled: true,
  minVizWidth: 8,
  minVizHeight: 16,
  maxVizHeight: 300,
  legend: { showLegend: false, placement: 'bottom', calcs: [] },
};

/** Space between bars; those of LCD bars are narrow themselves. */
const spacing = (mode: BarGaugeDisplayMode) => (mode === BarGaugeDisplayMode.Lcd ? 2 : 10);

export function BarGaugePanel(props: PanelProps<BarGaugeOptions>) {
  const theme = useTheme2();
  const { options, width, height, data, renderCounter } = props;
  const { minVizWidth, minVizHeight, maxVizHeight, sizing, legend } = options;
  const manual = sizing === BarGaugeSizing.Manual;
  const repeater = (innerWidth: number, innerHeight: number) => (
    <VizRepeater<FieldDisplay, DisplayValueAlignmentFactors>
      getAlignmentFactors={(values) => getDisplayValueAlignmentFactors(values)}
      getValues={() => displayValues(props, theme)}
      renderValue={(shown) => <Bar {...shown} options={options} />}
      width={innerWidth}
      height={innerHeight}
      minVizWidth={manual ? minVizWidth : BAR_GAUGE_OPTIONS.minVizWidth}
      minVizHeight={manual ? minVizHeight : BAR_GAUGE_OPTIONS.minVizHeight}
      maxVizHeight={maxVizHeight}
      itemSpacing={spacing(options.displayMode)}
      source={data}
      renderCounter={renderCounter}
      orientation={options.orientation}
    />
  );
  if (!legend.showLegend) return repeater(width, height);
  const items = displayValues(props, theme).map(({ display }) => ({
    label: display.title ?? '',
    color: display.color ?? '',
    yAxis: 1,
  }));
  const placement = legend.placement ?? 'bottom';
  return (
    <VizLayout
      width={width}
      height={height}
      legend={
        <VizLayout.Legend placement={placement}>
          <VizLegend
            items={items}
            placement={placement}
            displayMode={legend.displayMode ?? ('list' as never)}
          />
        </VizLayout.Legend>
      }
    >
      {repeater}
    </VizLayout>
  );
}

type BarProps = VizRepeaterRenderValueProps<FieldDisplay, DisplayValueAlignmentFactors> & {
  options: BarGaugeOptions;
};

function Bar({ value, width, height, orientation, alignmentFactors, count, options }: BarProps) {
  const theme = useTheme2();
  const { view, colIndex = 0, field, display } = value;
  return (
    <WithLinks value={value}>
      {({ openMenu, targetClassName }) => (
        <BarGauge
          value={
            count === 1 && options.namePlacement === BarGaugeNamePlacement.Hidden
              ? { ...display, title: '' }
              : display
          }
          width={width}
          height={height}
          orientation={orientation === VizOrientation.Auto ? VizOrientation.Horizontal : orientation}
          field={field}
          text={options.text}
          display={view?.getFieldDisplayProcessor(colIndex)}
          theme={theme}
          itemSpacing={spacing(options.displayMode)}
          displayMode={options.displayMode}
          valueDisplayMode={options.valueMode}
          namePlacement={options.namePlacement}
          showUnfilled={options.showUnfilled}
          alignmentFactors={alignmentFactors}
          onClick={openMenu}
          className={targetClassName}
        />
      )}
    </WithLinks>
  );
}
