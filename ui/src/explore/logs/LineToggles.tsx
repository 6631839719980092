import { Choice, Toggle } from '../Toolbar';
import { LIMITS, type View } from '../view';

interface Props {
  view: View;
  onView: (changed: Partial<View>) => void;
  /** While lines come in, their order and number are what they are. */
  isLive?: boolean;
}

/** How lines are shown. */
export function LineToggles({ view, onView, isLive = false }: Props) {
  return (
    <>
      <Toggle on={view.time} onChange={(time) => onView({ time })}>
        Time
      </Toggle>
      <Toggle
        on={view.uniqueLabels}
        onChange={(uniqueLabels) => onView({ uniqueLabels })}
        title="Labels in which lines differ"
      >
        Unique labels
      </Toggle>
      <Toggle on={view.wrap} onChange={(wrap) => onView({ wrap })}>
        Wrap
      </Toggle>
      <Toggle on={view.prettify} onChange={(prettify) => onView({ prettify })}>
        Prettify JSON
      </Toggle>
      {!isLive && (
        <>
          <Choice
            label="Lines that say the same once"
            value={view.dedup}
            options={DEDUPS}
            onChange={(dedup) => onView({ dedup })}
          />
          <Choice label="Order" value={view.order} options={ORDERS} onChange={(order) => onView({ order })} />
          <Choice
            label="Lines at most"
            value={String(view.limit)}
            options={LIMITS.map((limit) => [String(limit), String(limit)] as const)}
            onChange={(limit) => onView({ limit: Number(limit) })}
          />
        </>
      )}
      {view.columns.length > 0 && (
        <Toggle on onChange={() => onView({ columns: [] })} title="Show lines alone again">
          {view.columns.join(', ')} ×
        </Toggle>
      )}
    </>
  );
}

const DEDUPS = [
  ['none', 'All'],
  ['exact', 'Exact'],
  ['numbers', 'Numbers'],
  ['signature', 'Signature'],
] as const;

const ORDERS = [
  ['Descending', 'Newest first'],
  ['Ascending', 'Oldest first'],
] as const;
