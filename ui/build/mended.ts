import type { Plugin } from 'vite';

interface Mend {
  /** The end of the path of the module. */
  file: string;
  from: string;
  to: string;
}

/** What the packages write that keeps people who hear pages from using them. */
const MENDS: Mend[] = [
  // Headings have a level.
  {
    file: '@grafana/scenes/dist/esm/components/layout/grid/SceneGridRow.js',
    from: 'role: "heading"',
    to: 'role: "heading", "aria-level": 2',
  },
  // Rows are named as they are shown, with their variables filled in.
  {
    file: '@grafana/scenes/dist/esm/components/layout/grid/SceneGridRow.js',
    from: '"Expand row with title {{title}}", { title }',
    to: '"Expand row with title {{title}}", { title: sceneGraph.interpolate(model, title, void 0, "text") }',
  },
  {
    file: '@grafana/scenes/dist/esm/components/layout/grid/SceneGridRow.js',
    from: '"Collapse row with title {{title}}", {\n        title\n      }',
    to: '"Collapse row with title {{title}}", { title: sceneGraph.interpolate(model, title, void 0, "text") }',
  },
  // What is heard of a button begins with what is read on it.
  {
    file: '@grafana/ui/dist/esm/components/VizLegend/VizLegendListItem.mjs',
    from: '"aria-label": getAriaLabel()',
    to: '"aria-label": `${item.label}: ${getAriaLabel()}`',
  },
  {
    file: '@grafana/ui/dist/esm/components/RefreshPicker/RefreshPicker.mjs',
    from: '(_a = selectedValue.ariaLabel) != null ? _a : selectedValue.label',
    to: '[selectedValue.label, selectedValue.ariaLabel].filter(Boolean).join(", ")',
  },
  // What takes files has a name.
  {
    file: '@grafana/ui/dist/esm/components/FileDropzone/FileDropzone.mjs',
    from: '...getInputProps(), id',
    to: '"aria-label": "Choose files", ...getInputProps(), id',
  },
];

/** Mends single places of packages while they are built in. A package that has changed there fails the build. */
export function mended(): Plugin {
  const done = new Set<Mend>();
  return {
    name: 'mended',
    apply: 'build',
    transform(code, id) {
      const mends = MENDS.filter(({ file }) => id.split('?')[0]?.endsWith(file));
      let changed = code;
      for (const mend of mends) {
        if (!changed.includes(mend.from)) this.error(`${mend.file} no longer has ${mend.from}`);
        changed = changed.replaceAll(mend.from, mend.to);
        done.add(mend);
      }
      return mends.length ? { code: changed, map: null } : null;
    },
    generateBundle() {
      for (const mend of MENDS) if (!done.has(mend)) this.error(`${mend.file} is not built in`);
    },
  };
}
