import { describe, expect, it } from 'vitest';
import { conformanceDashboards, shippedDashboards } from '~/test';
import { loadDashboard } from '../../load';
import { validateDashboard } from './validate';

const problems = (json: unknown) =>
  validateDashboard(JSON.stringify(json, undefined, 2)).map(({ place, message, line, severity }) => ({
    place,
    message,
    line,
    severity,
  }));

describe('what is wrong with a dashboard is said, with its place and a remedy', () => {
  it('where it is no JSON', () => {
    const [problem] = validateDashboard('{\n  "title": "T",\n  "panels": [}\n}');
    expect(problem?.place).toMatch(/^line 3, column \d+$/);
    expect(problem?.message).toContain('look for a comma, a quote or a bracket');
    expect(validateDashboard('')).toHaveLength(1);
  });

  it('where it is JSON of something else', () => {
    const found = problems({
      title: ' ',
      time: { from: 'yesterday', to: 'now' },
      refresh: 'often',
      tags: 'a',
      panels: [
        { id: 1, type: 'stat', gridPos: { x: 20, y: 0, w: 12, h: 0 } },
        { id: 1, type: 'sunburst', targets: [{ refId: 'A' }, { refId: 'A' }] },
        7,
      ],
      templating: {
        list: [
          { name: 'a b', type: 'query' },
          { name: 'x', type: 'guess' },
        ],
      },
      annotations: { list: [{}] },
    });
    expect(found.map(({ place, line }) => [place, line])).toEqual([
      ['title', 2],
      ['panels[0].gridPos.h', 17],
      ['panels[0].gridPos.w', 16],
      ['panels[1].type', 22],
      ['panels[1].id', 21],
      ['panels[1].targets[1].refId', 28],
      ['panels[2]', 32],
      ['tags', 8],
      ['refresh', 7],
      ['time.from', 4],
      ['templating.list[0].name', 37],
      ['templating.list[1].type', 42],
      ['annotations.list[0].name', 48],
    ]);
    expect(found.find(({ place }) => place === 'panels[1].type')).toMatchObject({ severity: 'warning' });
    expect(found.find(({ place }) => place === 'panels[0].gridPos.w')?.message).toContain(
      'ends at column 32',
    );
    expect(found.find(({ place }) => place === 'panels[1].id')?.message).toContain(
      'panels[0] has the id 1, too',
    );
  });

  it('and nothing of one that is right', () => {
    for (const { name, json } of [...conformanceDashboards(), ...shippedDashboards()])
      expect({ name, problems: problems(loadDashboard(json)) }).toEqual({ name, problems: [] });
  });
});
