import type { ScopedVars } from '@grafana/data';
import type { TemplateSrv } from '@grafana/runtime';
import { sceneGraph, type SceneObject } from '@grafana/scenes';

/** Formats the value of a variable for where it is put. */
export type Formatter = (
  value: string | string[],
  variable: { isMulti: boolean; includeAll: boolean },
) => string;

type Format = Parameters<typeof sceneGraph.interpolate>[3];

const VARIABLE = /\$(\w+)|\$\{(\w+)(?:\.([^:^}]+))?(?::([^}]+))?\}|\[\[(\w+?)(?::(\w+))?\]\]/g;

/** The scene object a query comes from, which knows the variables it can see. */
function sceneObject(scopedVars?: ScopedVars): SceneObject | undefined {
  const scoped = scopedVars?.__sceneObject?.value as { valueOf?: () => unknown } | undefined;
  return scoped?.valueOf?.() as SceneObject | undefined;
}

/** Variables for data sources: those of the scene a query comes from, and those the query brings along. */
export const templates: TemplateSrv = {
  getVariables: () => [],
  updateTimeRange: () => undefined,
  containsTemplate: (target) => target !== undefined && target.search(VARIABLE) >= 0,
  replace(target, scopedVars, format) {
    if (!target) return target ?? '';
    const scene = sceneObject(scopedVars);
    if (scene) return sceneGraph.interpolate(scene, target, scopedVars, format as Format);
    return replaceScoped(target, scopedVars, format);
  },
};

function replaceScoped(target: string, scopedVars?: ScopedVars, format?: unknown): string {
  return target.replace(
    VARIABLE,
    (match, plain?: string, braced?: string, _path?: string, _format?: string, old?: string) => {
      const value: unknown = scopedVars?.[plain ?? braced ?? old ?? '']?.value;
      if (value === undefined || value === null) return match;
      if (typeof format === 'function')
        return (format as Formatter)(value as string, { isMulti: false, includeAll: false });
      return Array.isArray(value) ? value.join(',') : String(value);
    },
  );
}
