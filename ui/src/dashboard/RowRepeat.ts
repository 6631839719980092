import {
  LocalValueVariable,
  MultiValueVariable,
  SceneGridLayout,
  SceneGridRow,
  SceneObjectBase,
  SceneVariableSet,
  VariableDependencyConfig,
  sceneGraph,
  type SceneGridItemLike,
  type SceneObjectState,
} from '@grafana/scenes';
import { repeatValues, type RepeatValue } from './repeatValues';

interface State extends SceneObjectState {
  /** The variable each of whose values gets a copy of the row. */
  variableName: string;
}

/** Attached to a row, repeats it with all its panels for each value of a variable. */
export class RowRepeat extends SceneObjectBase<State> {
  protected override _variableDependency = new VariableDependencyConfig<State>(this, {
    variableNames: [this.state.variableName],
    onVariableUpdateCompleted: () => this.#repeat(),
  });
  /** The panels of the row as the dashboard has them. */
  #source: SceneGridItemLike[] | undefined;
  #shown = '';

  constructor(state: State) {
    super(state);
    this.addActivationHandler(() => this.#repeat());
  }

  #repeat(): void {
    const row = this.parent;
    const layout = row?.parent;
    if (!(row instanceof SceneGridRow) || !(layout instanceof SceneGridLayout)) return;
    const variable = sceneGraph.lookupVariable(this.state.variableName, layout);
    if (!(variable instanceof MultiValueVariable) || variable.state.loading) return;
    const values = repeatValues(variable);
    const shown = JSON.stringify(values);
    if (!values.length || shown === this.#shown) return;
    this.#shown = shown;
    this.#source ??= row.state.children.map((child) => child.clone());
    this.#place(layout, row, this.#source, values);
  }

  #place(
    layout: SceneGridLayout,
    row: SceneGridRow,
    source: SceneGridItemLike[],
    values: RepeatValue[],
  ): void {
    const key = row.state.key ?? '';
    const top = row.state.y ?? 0;
    const height =
      1 + Math.max(0, ...source.map(({ state }) => (state.y ?? 0) + (state.height ?? 0) - top - 1));
    const before = layout.state.children.filter(
      ({ state }) => (state as { repeatSourceKey?: string }).repeatSourceKey !== key,
    );
    const grown = (values.length - (layout.state.children.length - before.length) - 1) * height;
    const copies = values.map((value, index) => this.#copy(row, source, value, index, index * height));
    const at = before.indexOf(row);
    const after = before.slice(at + 1);
    for (const child of after) child.setState({ y: (child.state.y ?? 0) + grown });
    layout.setState({ children: [...before.slice(0, at), ...copies, ...after] });
  }

  /** The first is the row itself, as what is repeated must stay where it was. */
  #copy(
    row: SceneGridRow,
    source: SceneGridItemLike[],
    { value, text }: RepeatValue,
    index: number,
    offset: number,
  ): SceneGridRow {
    const local = new LocalValueVariable({ name: this.state.variableName, value, text });
    const $variables = new SceneVariableSet({ variables: [local] });
    const key = row.state.key ?? '';
    const children = source.map((child) =>
      child.clone({ key: `${child.state.key}-${key}-${index}`, y: (child.state.y ?? 0) + offset }),
    );
    if (index === 0) {
      row.setState({ $variables, children });
      return row;
    }
    const y = (row.state.y ?? 0) + offset;
    return row.clone({
      key: `${key}-${index}`,
      $variables,
      $behaviors: [],
      children,
      y,
      repeatSourceKey: key,
    });
  }
}
