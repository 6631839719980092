import { css } from '@emotion/css';
import {
  LocalValueVariable,
  MultiValueVariable,
  SceneObjectBase,
  SceneVariableSet,
  VariableDependencyConfig,
  type SceneComponentProps,
  type SceneGridItemLike,
  type SceneGridItemStateLike,
  type VizPanel,
  sceneGraph,
} from '@grafana/scenes';
import { repeatValues, type RepeatValue } from './repeatValues';

interface State extends SceneGridItemStateLike {
  body: VizPanel;
  /** The variable each of whose values gets a copy of the panel. */
  repeat?: string;
  direction: 'h' | 'v';
  maxPerRow: number;
  /** The height of one copy, in cells of the grid. */
  itemHeight: number;
  /** One for each value; absent until the variable is known. */
  copies?: VizPanel[];
}

/** The place of a panel in the grid, or of a panel and its copies for the values of a variable. */
export class PanelGridItem extends SceneObjectBase<State> implements SceneGridItemLike {
  protected override _variableDependency = new VariableDependencyConfig<State>(this, {
    variableNames: this.state.repeat ? [this.state.repeat] : [],
    onVariableUpdateCompleted: () => this.#repeat(),
  });
  #shown = '';

  constructor(state: State) {
    super(state);
    if (state.repeat) this.addActivationHandler(() => this.#repeat());
  }

  #repeat(): void {
    const { repeat, body, direction, maxPerRow, itemHeight } = this.state;
    const variable = repeat && sceneGraph.lookupVariable(repeat, this);
    if (!(variable instanceof MultiValueVariable) || variable.state.loading) return;
    const values = repeatValues(variable);
    const shown = JSON.stringify(values);
    if (!repeat || shown === this.#shown) return;
    this.#shown = shown;
    const copies = values.map((value, index) => copy(body, repeat, value, index));
    const rows = direction === 'h' ? Math.ceil(copies.length / maxPerRow) : copies.length;
    this.setState({ copies, height: itemHeight * Math.max(1, rows) });
    // The panels below move down by themselves once the grid is laid out anew.
    if (this.parent && 'forceRender' in this.parent) (this.parent as { forceRender(): void }).forceRender();
  }

  /** The height of one copy, after all of them were given another. */
  takeHeight(): number {
    const { copies, direction, maxPerRow, height, itemHeight } = this.state;
    const count = copies?.length ?? 1;
    const rows = direction === 'h' ? Math.ceil(count / maxPerRow) : count;
    const each = Math.max(1, Math.round((height ?? itemHeight) / Math.max(1, rows)));
    if (each !== itemHeight) this.setState({ itemHeight: each });
    return each;
  }

  static Component = ({ model }: SceneComponentProps<PanelGridItem>) => {
    const { body, repeat, copies, direction, maxPerRow } = model.useState();
    if (!repeat) return <body.Component model={body} />;
    if (!copies) return null;
    const columns = direction === 'h' ? Math.min(maxPerRow, Math.max(1, copies.length)) : 1;
    return (
      <div className={GRID} style={{ gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))` }}>
        {copies.map((panel) => (
          <div key={panel.state.key} className={CELL}>
            <panel.Component model={panel} />
          </div>
        ))}
      </div>
    );
  };
}

function copy(body: VizPanel, name: string, { value, text }: RepeatValue, index: number): VizPanel {
  const local = new LocalValueVariable({ name, value, text });
  return body.clone({
    key: `${body.state.key}-${index}`,
    $variables: new SceneVariableSet({ variables: [local] }),
    ...(index > 0 && body.state.key ? { repeatSourceKey: body.state.key } : {}),
  });
}

const GRID = css({ display: 'grid', gap: 8, gridAutoRows: 'minmax(0, 1fr)', height: '100%', width: '100%' });
const CELL = css({ display: 'flex', minHeight: 0, position: 'relative' });
