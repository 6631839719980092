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
  // What is heard of a button begins with what is read on it.
  {
    file: '@grafana/ui/dist/esm/components/VizLegend/VizLegendListItem.mjs',
    from: '"aria-label": getAriaLabel()',
    to: '"aria-label": `${item.label}: ${getAriaLabel()}`',
  },
];

/** Mends single places of packages while they are built in. A package that has changed there fails the build. */
export function mended(): Plugin {
  const done = new Set<Mend>();
  return {
    name: 'mended',
    apply: 'build',
    transform(code, id) {
      const mend = MENDS.find(({ file }) => id.split('?')[0]?.endsWith(file));
      if (!mend) return null;
      if (!code.includes(mend.from)) this.error(`${mend.file} no longer has ${mend.from}`);
      done.add(mend);
      return { code: code.replaceAll(mend.from, mend.to), map: null };
    },
    generateBundle() {
      for (const mend of MENDS) if (!done.has(mend)) this.error(`${mend.file} is not built in`);
    },
  };
}
