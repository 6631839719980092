import { describe, expect, it } from 'vitest';
import { OWN_METRICS } from '~/datasources/catalog';
import { conformanceDashboards } from '~/test';
import { loadDashboard } from '../../load';
import { differences } from './diff';
import { asCode, fillInputs, forSharing, inputsOf } from './exchange';
import { compareLines } from './lines';

const base = loadDashboard({
  title: 'Host',
  tags: ['a'],
  panels: [
    { id: 1, type: 'timeseries', title: 'CPU', gridPos: { x: 0, y: 0, w: 12, h: 8 }, fieldConfig: { defaults: { custom: { lineWidth: 1 } }, overrides: [] }, targets: [{ refId: 'A', expr: 'up' }] },
    { id: 2, type: 'row', title: 'More', collapsed: true, gridPos: { x: 0, y: 8, w: 24, h: 1 }, panels: [{ id: 3, type: 'stat', title: 'Memory', gridPos: { x: 0, y: 9, w: 6, h: 4 } }] },
  ],
  templating: { list: [{ type: 'query', name: 'job', query: 'label_values(job)' }] },
}); // prettier-ignore

describe('what is different is said in words', () => {
  it('of the dashboard, its panels and its variables', () => {
    const after = structuredClone(base);
    after.title = 'Hosts';
    const [cpu, row] = after.panels;
    Object.assign(cpu ?? {}, {
      gridPos: { x: 12, y: 0, w: 12, h: 8 },
      targets: [
        { refId: 'A', expr: 'up == 1' },
        { refId: 'B', expr: 'down' },
      ],
    });
    (cpu?.fieldConfig?.defaults.custom as { lineWidth: number }).lineWidth = 2;
    row?.panels?.pop();
    after.templating.list[0] = { ...base.templating.list[0], name: 'job', type: 'query', multi: true };
    expect(differences(base, after)).toEqual([
      {
        title: 'Dashboard',
        kind: 'changed',
        changes: [{ what: 'Title', kind: 'changed', before: 'Host', after: 'Hosts' }],
      },
      {
        title: 'Panel "CPU"',
        kind: 'changed',
        changes: [
          {
            what: 'Place',
            kind: 'changed',
            before: 'column 0, line 0, 12 wide, 8 high',
            after: 'column 12, line 0, 12 wide, 8 high',
          },
          { what: 'Line width', kind: 'changed', before: 1, after: 2 },
          { what: 'Query A › expression', kind: 'changed', before: 'up', after: 'up == 1' },
          { what: 'Query B', kind: 'added', after: { refId: 'B', expr: 'down' } },
        ],
      },
      { title: 'Panel "Memory"', kind: 'removed', changes: [] },
      { title: 'Variable $job', kind: 'changed', changes: [{ what: 'Multi', kind: 'added', after: true }] },
    ]);
  });

  it('nothing is said of what is the same, nor of versions', () => {
    expect(differences(base, { ...structuredClone(base), version: 7 })).toEqual([]);
  });

  it('a panel that goes into a row is not gone', () => {
    const after = structuredClone(base);
    const [cpu, row] = after.panels;
    after.panels = [{ ...row, panels: [...(row?.panels ?? []), cpu] }] as typeof after.panels;
    expect(differences(base, after)).toEqual([]);
  });
});

describe('texts line by line', () => {
  const written = (before: string, after: string) =>
    compareLines(before, after).map(
      ({ kind, text }) => `${{ same: ' ', added: '+', removed: '-', skipped: '…' }[kind]}${text}`,
    );

  it('show what was removed and added, and what is around it', () => {
    const many = Array.from({ length: 12 }, (_, n) => `line ${n}`);
    const after = [...many.slice(0, 6), 'new', ...many.slice(7)];
    expect(written(many.join('\n'), after.join('\n'))).toEqual([
      '…3 lines as before', ' line 3', ' line 4', ' line 5', '-line 6', '+new', ' line 7', ' line 8', ' line 9', '…2 lines as before',
    ]); // prettier-ignore
  });

  it('need no more changes than there are', () => {
    expect(
      written('a\nb\nc\na\nb\nb\na', 'c\nb\na\nb\na\nc').filter((line) => /^[+-]/.test(line)),
    ).toHaveLength(5);
    expect(written('a', 'b')).toEqual(['-a', '+b']);
    expect(written('', 'b')).toEqual(['-', '+b']);
  });

  it('give back both texts', () => {
    const [before, after] = ['x\na\nb\nq\nc', 'a\nb\nb\nc\nd'];
    const lines = compareLines(before, after);
    expect(lines.filter(({ kind }) => kind !== 'added').map(({ text }) => text).join('\n')).toBe(before); // prettier-ignore
    expect(lines.filter(({ kind }) => kind !== 'removed').map(({ text }) => text).join('\n')).toBe(after); // prettier-ignore
  });
});

describe('from one server to another', () => {
  const own = loadDashboard({
    ...base,
    uid: 'host',
    version: 4,
    panels: [
      { id: 1, type: 'stat', gridPos: { x: 0, y: 0, w: 6, h: 4 }, datasource: { type: 'prometheus', uid: OWN_METRICS }, targets: [{ refId: 'A', expr: 'up{x="$fixed"}', datasource: { type: 'prometheus', uid: '${ds}' } }] },
    ],
    templating: { list: [{ type: 'constant', name: 'fixed', query: '7' }, { type: 'query', name: 'job', datasource: { type: 'prometheus', uid: OWN_METRICS }, query: 'label_values(job)' }] },
  }); // prettier-ignore

  it('data sources and constants are asked for', () => {
    const shared = forSharing(own);
    expect(
      inputsOf(shared).map(({ name, type, pluginId, value }) => [name, type, pluginId ?? value]),
    ).toEqual([
      ['DS_METRICS', 'datasource', 'prometheus'],
      ['VAR_FIXED', 'constant', '7'],
    ]);
    expect(JSON.stringify(shared)).not.toContain(OWN_METRICS);
    expect(shared).not.toHaveProperty('version');
    expect(shared.__requires).toContainEqual({ type: 'panel', id: 'stat', name: 'stat', version: '' });
  });

  it('what was asked for is filled in, and what was exported is what is imported', () => {
    const filled = loadDashboard(fillInputs(forSharing(own), { DS_METRICS: OWN_METRICS, VAR_FIXED: '7' }));
    const { version: _version, ...expected } = own;
    const [constant] = filled.templating.list;
    expect(constant).toMatchObject({ query: '7', current: { text: '7', value: '7' } });
    const list = [
      { ...expected.templating.list[0], current: { text: '7', value: '7' } },
      ...expected.templating.list.slice(1),
    ];
    expect(filled).toEqual({ ...expected, templating: { list } });
    expect(filled.panels[0]?.targets?.[0]?.datasource).toEqual({ type: 'prometheus', uid: '${ds}' });
  });

  it('resources for files are read again', () => {
    const code = asCode(own);
    expect(code).toMatchObject({ kind: 'Dashboard', metadata: { name: 'host' } });
    const { version: _version, ...expected } = own;
    expect(loadDashboard(code)).toEqual(expected);
  });

  for (const { name, json } of conformanceDashboards()) {
    it(`${name} is exported for sharing and imported as it was`, () => {
      const { version: _version, id: _id, ...expected } = loadDashboard(json);
      expect(loadDashboard(fillInputs(forSharing(loadDashboard(json)), {}))).toEqual(expected);
    });
  }
});
