import { DashboardCursorSync, type Field, type PanelProps } from '@grafana/data';
import { TooltipDisplayMode } from '@grafana/schema';
import {
  EventBusPlugin,
  KeyboardPlugin,
  TimeSeries,
  TooltipPlugin2,
  getFieldDisplayLinks,
  usePanelContext,
} from '@grafana/ui';
import { useMemo } from 'react';
import { AnnotationMarkers } from '../shared/AnnotationMarkers';
import { GraphTooltip } from '../shared/GraphTooltip';
import { NoData } from '../shared/NoData';
import { LEGEND, TOOLTIP, type GraphOptions } from '../shared/legend';
import { Exemplars, exemplarFrames } from './Exemplars';
import { graphable, outsideRange } from './graphable';

export interface TimeSeriesOptions extends GraphOptions {
  timezone: string[] | undefined;
}

export const TIME_SERIES_OPTIONS: TimeSeriesOptions = {
  legend: LEGEND,
  tooltip: TOOLTIP,
  timezone: undefined,
};

/** What the plugin of tooltips calls hovering one series, and all. */
const HOVER_ONE = 0;
const HOVER_ALL = 1;

export function TimeSeriesPanel(props: PanelProps<TimeSeriesOptions>) {
  const { data, timeRange, timeZone, width, height, options, fieldConfig, onChangeTimeRange } = props;
  const { sync, eventsScope, eventBus } = usePanelContext();
  const frames = useMemo(() => graphable(data.series, data.timeRange), [data.series, data.timeRange]);
  const exemplars = useMemo(() => exemplarFrames(data.annotations), [data.annotations]);
  const zones = useMemo(
    () => options.timezone?.map((zone) => zone || timeZone) ?? [timeZone],
    [options.timezone, timeZone],
  );
  const cursorSync = sync?.() ?? DashboardCursorSync.Off;
  if (!frames) return <NoData message={fieldConfig.defaults.noValue} />;
  return (
    <TimeSeries
      frames={frames}
      structureRev={data.structureRev ?? 0}
      timeRange={timeRange}
      timeZone={zones}
      width={width}
      height={height}
      legend={options.legend}
      options={options}
    >
      {(config, aligned) => (
        <>
          <KeyboardPlugin config={config} />
          {cursorSync !== DashboardCursorSync.Off && (
            <EventBusPlugin config={config} eventBus={eventBus} frame={aligned} />
          )}
          {options.tooltip.mode !== TooltipDisplayMode.None && (
            <TooltipPlugin2
              config={config}
              hoverMode={options.tooltip.mode === TooltipDisplayMode.Single ? HOVER_ONE : HOVER_ALL}
              queryZoom={onChangeTimeRange}
              clientZoom
              syncMode={cursorSync}
              syncScope={eventsScope}
              getDataLinks={(seriesIdx, dataIdx) =>
                getFieldDisplayLinks(aligned.fields[seriesIdx] as Field, dataIdx)
              }
              {...(options.tooltip.maxWidth === undefined ? {} : { maxWidth: options.tooltip.maxWidth })}
              render={(_plot, dataIdxs, seriesIdx, isPinned, _dismiss, _selected, viaSync, dataLinks) => (
                <GraphTooltip
                  frame={aligned}
                  dataIdxs={dataIdxs}
                  seriesIdx={seriesIdx}
                  isPinned={isPinned}
                  options={options.tooltip}
                  dataLinks={dataLinks}
                  viaSync={viaSync && cursorSync === DashboardCursorSync.Tooltip}
                />
              )}
            />
          )}
          <AnnotationMarkers config={config} annotations={data.annotations ?? []} timeZone={timeZone} />
          {exemplars.length > 0 && <Exemplars config={config} frames={exemplars} timeZone={timeZone} />}
          {outsideRange(frames, timeRange) && <Outside />}
        </>
      )}
    </TimeSeries>
  );
}

function Outside() {
  return (
    <div
      style={{
        left: '50%',
        pointerEvents: 'none',
        position: 'absolute',
        top: '40%',
        transform: 'translateX(-50%)',
      }}
    >
      Data outside time range
    </div>
  );
}
