import { formattedValueToString, type DataFrame, type Field, type LinkModel } from '@grafana/data';
import { SortOrder, TooltipDisplayMode, type VizTooltipOptions } from '@grafana/schema';
import {
  VizTooltipContent,
  VizTooltipFooter,
  VizTooltipHeader,
  VizTooltipWrapper,
  getFieldDisplayItems,
  isTooltipScrollable,
} from '@grafana/ui';

/** A row of the packages' tooltips. */
type VizTooltipItem = ReturnType<typeof getFieldDisplayItems>[number];

interface Props {
  /** The series of a graph aligned on one time field, which comes first. */
  frame: DataFrame;
  dataIdxs: (number | null)[];
  seriesIdx: number | null;
  isPinned: boolean;
  options: VizTooltipOptions;
  dataLinks: LinkModel[];
  /** Where the crosshair came from another panel, that panel's choice of one series means nothing here. */
  viaSync?: boolean;
}

/** Time and values under the pointer. */
export function GraphTooltip({ frame, dataIdxs, seriesIdx, isPinned, options, dataLinks, viaSync }: Props) {
  const time = frame.fields[0] as Field;
  const at = dataIdxs.find((index) => index !== null);
  if (at === undefined || at === null) return null;
  const { maxHeight, sort = SortOrder.None, hideZeros } = options;
  const mode = viaSync ? TooltipDisplayMode.Multi : options.mode;
  const found = getFieldDisplayItems(frame.fields, time, dataIdxs, seriesIdx, mode, sort, shown, hideZeros);
  const items = isPinned ? found : readable(found);
  const header = time.display
    ? formattedValueToString(time.display(time.values[at]))
    : String(time.values[at]);
  return (
    <VizTooltipWrapper>
      <VizTooltipHeader item={{ label: '', value: header }} isPinned={isPinned} />
      <VizTooltipContent
        items={items}
        isPinned={isPinned}
        scrollable={isTooltipScrollable({ mode, ...(maxHeight === undefined ? {} : { maxHeight }) })}
        {...(maxHeight === undefined ? {} : { maxHeight })}
      />
      {isPinned && dataLinks.length > 0 && <VizTooltipFooter dataLinks={dataLinks} />}
    </VizTooltipWrapper>
  );
}

/** More rows than these have no room on a page, and making thousands at each move of the hand holds everything up. */
const ROWS_MAX = 40;

/** The first of many rows with the one that is pointed at, and how many there are besides; who pins them sees all. */
export function readable(items: VizTooltipItem[]): VizTooltipItem[] {
  if (items.length <= ROWS_MAX) return items;
  const first = items.slice(0, ROWS_MAX);
  const meant = items.slice(ROWS_MAX).find(({ isActive }) => isActive);
  if (meant) first[ROWS_MAX - 1] = meant;
  const more = { label: `${items.length - ROWS_MAX} more`, value: '' } as VizTooltipItem;
  return [...first, more];
}

const shown = (field: Field) =>
  !(field.config.custom as { hideFrom?: { tooltip?: boolean } } | undefined)?.hideFrom?.tooltip;
