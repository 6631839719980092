import { dateMath, dateTime, rangeUtil, type DateTime, type TimeRange } from '@grafana/data';
import {
  SceneObjectBase,
  SceneTimeRangeTransformerBase,
  sceneGraph,
  type SceneComponentProps,
  type SceneObjectState,
  type SceneTimeRangeLike,
  type SceneTimeRangeState,
} from '@grafana/scenes';
import { css } from '@emotion/css';
import { PanelChrome, Icon } from '@grafana/ui';

interface State extends SceneTimeRangeState {
  /** Shows this long before now in place of the dashboard's range. */
  timeFrom?: string;
  /** Shows what was this long before. */
  timeShift?: string;
}

/** The dashboard's time range as a panel changes it for itself. */
export class PanelTimeRange extends SceneTimeRangeTransformerBase<State> implements SceneTimeRangeLike {
  constructor(state: Pick<State, 'timeFrom' | 'timeShift'>) {
    const now = dateTime();
    super({
      ...state,
      from: 'now-6h',
      to: 'now',
      value: { from: now, to: now, raw: { from: 'now-6h', to: 'now' } },
    });
    this.addActivationHandler(() => this.#follow(this.getAncestorTimeRange().state));
  }

  protected ancestorTimeRangeChanged(timeRange: SceneTimeRangeState): void {
    this.#follow(timeRange);
  }

  #follow(parent: SceneTimeRangeState): void {
    const timeFrom = this.state.timeFrom && sceneGraph.interpolate(this, this.state.timeFrom);
    const timeShift = this.state.timeShift && sceneGraph.interpolate(this, this.state.timeShift);
    const value = shifted(relative(parent.value, timeFrom), timeShift);
    this.setState({ from: parent.from, to: parent.to, value });
  }

  label(): PanelTimeLabel {
    const { timeFrom, timeShift } = this.state;
    const parts = [timeFrom && `Last ${timeFrom}`, timeShift && `timeshift -${timeShift}`];
    return new PanelTimeLabel({ text: parts.filter(Boolean).join(' ') });
  }
}

/** The last while up to now, unless the dashboard looks at a fixed time. */
function relative(range: TimeRange, timeFrom: string | undefined): TimeRange {
  if (!timeFrom || !rangeUtil.isRelativeTimeRange(range.raw)) return range;
  const raw = timeFrom.startsWith('now')
    ? { from: timeFrom, to: 'now' }
    : { from: `now-${timeFrom}`, to: 'now' };
  const from = dateMath.parse(raw.from, false);
  const to = dateMath.parse(raw.to, true);
  return from && to ? { from, to, raw } : range;
}

function shifted(range: TimeRange, timeShift: string | undefined): TimeRange {
  if (!timeShift) return range;
  const shift = `-${timeShift.replace(/^-/, '')}`;
  const moved = (time: DateTime) => dateMath.parseDateMath(shift, dateTime(time), false) ?? time;
  const [from, to] = [moved(range.from), moved(range.to)];
  return { from, to, raw: { from, to } };
}

class PanelTimeLabel extends SceneObjectBase<SceneObjectState & { text: string }> {
  static Component = ({ model }: SceneComponentProps<PanelTimeLabel>) => {
    const { text } = model.useState();
    return (
      <PanelChrome.TitleItem title={text}>
        <span className={LABEL}>
          <Icon name="clock-nine" size="sm" /> {text}
        </span>
      </PanelChrome.TitleItem>
    );
  };
}

/** In a panel that is narrow the title gives way. */
const LABEL = css({ whiteSpace: 'nowrap' });
