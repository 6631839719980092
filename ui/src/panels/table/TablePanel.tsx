import { css } from '@emotion/css';
import {
  FieldType,
  cacheFieldDisplayNames,
  getFrameDisplayName,
  type DataFrame,
  type PanelProps,
} from '@grafana/data';
import { TableCellHeight, TableCellDisplayMode } from '@grafana/schema';
import { Select, usePanelContext, type TableSortByFieldState } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { NoData } from '../shared/NoData';

export interface TableOptions {
  frameIndex: number;
  showHeader: boolean;
  showTypeIcons: boolean;
  cellHeight: TableCellHeight;
  sortBy: TableSortByFieldState[];
  frozenColumns: { left?: number };
  enablePagination: boolean;
  pageSize?: number;
  maxRowHeight?: number;
}

export const TABLE_OPTIONS: TableOptions = {
  frameIndex: 0,
  showHeader: true,
  showTypeIcons: false,
  cellHeight: TableCellHeight.Sm,
  sortBy: [],
  frozenColumns: {},
  enablePagination: false,
};

export const TABLE_FIELD_OPTIONS = {
  align: 'auto',
  cellOptions: { type: TableCellDisplayMode.Auto },
  filterable: undefined,
  footer: undefined,
  hideFrom: { viz: false },
  hideHeader: undefined,
  inspect: false,
  minWidth: undefined,
  tooltip: undefined,
  width: undefined,
  wrapHeaderText: undefined,
  wrapText: undefined,
};

/** Room for the choice between frames. */
const CHOICE_HEIGHT = 40;

export function TablePanel(props: PanelProps<TableOptions>) {
  const { data, width, height, options, timeRange, fieldConfig, transparent, onOptionsChange } = props;
  const context = usePanelContext();
  const frames = data.series.filter(({ fields }) => fields.length);
  if (!frames.length) return <NoData message={fieldConfig.defaults.noValue} />;
  // Without it, names that transformations gave are not the ones shown.
  cacheFieldDisplayNames(frames);
  const chosen = Math.min(options.frameIndex, frames.length - 1);
  const frame = frames[chosen] as DataFrame;
  const several = frames.length > 1 && !isNested(frames);
  const table = (
    <TableNG
      data={frame}
      width={width}
      height={several ? height - CHOICE_HEIGHT : height}
      noHeader={!options.showHeader}
      showTypeIcons={options.showTypeIcons}
      resizable
      structureRev={data.structureRev ?? 0}
      sortBy={options.sortBy}
      onSortByChange={(sortBy) => onOptionsChange({ ...options, sortBy })}
      frozenColumns={options.frozenColumns.left ?? 0}
      enablePagination={options.enablePagination}
      cellHeight={options.cellHeight}
      timeRange={timeRange}
      fieldConfig={fieldConfig}
      transparent={transparent}
      getActions={() => []}
      {...(options.pageSize === undefined ? {} : { pageSize: options.pageSize })}
      {...(options.maxRowHeight === undefined ? {} : { maxRowHeight: options.maxRowHeight })}
      {...(context.onAddAdHocFilter ? { onCellFilterAdded: context.onAddAdHocFilter } : {})}
    />
  );
  if (!several) return table;
  const choices = frames.map((each, value) => ({ value, label: getFrameDisplayName(each) }));
  return (
    <div className={STYLE}>
      {table}
      <Select
        aria-label="Frame"
        options={choices}
        value={chosen}
        onChange={({ value = 0 }) => onOptionsChange({ ...options, frameIndex: value })}
      />
    </div>
  );
}

const isNested = (frames: DataFrame[]) =>
  frames.some(({ fields }) => fields.some(({ type }) => type === FieldType.nestedFrames));

const STYLE = css({ display: 'flex', flexDirection: 'column', gap: 8, height: '100%' });
