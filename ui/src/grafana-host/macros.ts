/** What texts may name beside variables: the dashboard, who looks, and the one organisation there is. */
import { sceneUtils, type SceneObject } from '@grafana/scenes';
import { session } from '~/api/session';

type Read = (from: SceneObject) => Record<string, string>;

/** The first property is what the name alone stands for. */
const MACROS: Record<string, Read> = {
  __dashboard: (from) => {
    const { dashboard } = from.getRoot().state as { dashboard?: { title?: string; uid?: string } };
    const title = dashboard?.title ?? '';
    return { title, name: title, uid: dashboard?.uid ?? '' };
  },
  __user: () => {
    const { user } = session();
    return { id: String(user?.id ?? 0), login: user?.login ?? '', email: '' };
  },
  __org: () => ({ id: '1', name: 'Main Org.' }),
};

export function initMacros(): void {
  for (const [name, read] of Object.entries(MACROS))
    sceneUtils.registerVariableMacro(name, macro(read), true);
}

function macro(read: Read) {
  return class {
    readonly state: { name: string; type: string };
    readonly #from: SceneObject;

    constructor(name: string, from: SceneObject) {
      this.state = { name, type: name };
      this.#from = from;
    }

    getValue(path?: string): string {
      const properties = read(this.#from);
      return (path ? properties[path] : Object.values(properties)[0]) ?? '';
    }

    getValueText(path?: string): string {
      return this.getValue(path);
    }
  };
}
