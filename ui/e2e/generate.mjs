// Series for the metrics that dashboards query: one for each selector, with labels that let joins find each other.
import { createServer } from 'node:http';
import { parser } from '@prometheus-io/lezer-promql';

const BOUNDS = ['0.1', '0.5', '1', '5', '+Inf'];
const COMMON = {
  cluster: 'main',
  namespace: 'default',
  pod: 'web-0',
  container: 'web',
  node: 'node-1',
  instance: 'node-1:9100',
};

function* panels(list = []) {
  for (const panel of list) {
    yield panel;
    yield* panels(panel.panels);
  }
}

/** All expressions of a dashboard: those of its panels, and the selectors its variables look through. */
export function expressions(dashboard) {
  const queries = [...panels(dashboard.panels)].flatMap(({ targets = [] }) =>
    targets.map(({ expr }) => expr),
  );
  const variables = (dashboard.templating?.list ?? []).map(({ query }) =>
    typeof query === 'string' ? query : query?.query,
  );
  const selectors = variables.map((text) => /label_values\((.+),\s*[\w]+\)/s.exec(text ?? '')?.[1]);
  return [...queries, ...selectors].filter(Boolean);
}

const withoutVariables = (expr) =>
  expr
    .replace(/\$__(?:rate_interval|interval|range)|\$\{__\w+\}/g, '5m')
    .replace(/\[\$\w+\]/g, '[5m]')
    .replace(/\$\{?\w+(?::\w+)?\}?/g, 'VARIABLE');

/** What a matcher wants; a variable's value is whatever the label has everywhere. */
function wanted(label, operator, value) {
  const usual = COMMON[label] ?? `${label}-1`;
  if (value.includes('VARIABLE')) return usual;
  if (operator === '=') return value;
  if (operator !== '=~') return undefined;
  // Whatever there is: what there is anyway.
  if (/^[.+*()|]*$/.test(value)) return usual;
  const alternative = value.split('|').map((part) =>
    part
      .replace(/[\^$()?]/g, '')
      .replace(/\\\\?/g, '')
      .replace(/\.[+*]/g, 'x')
      .replace(/\[[^\]]*\]\+?/g, 'a'),
  );
  return alternative.find(Boolean) ?? usual;
}

function* selectors(expr) {
  const text = withoutVariables(expr);
  const found = [];
  parser.parse(text).iterate({
    enter({ name, node }) {
      if (name !== 'VectorSelector') return;
      const identifier = node.getChild('Identifier');
      const labels = {};
      const matchers = node.getChild('LabelMatchers');
      for (const matcher of matchers?.getChildren('UnquotedLabelMatcher') ?? []) {
        const [, label, operator, value] =
          /^\s*([\w]+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"/.exec(text.slice(matcher.from, matcher.to)) ?? [];
        const chosen = label && wanted(label, operator, value);
        if (chosen !== undefined && chosen !== '') labels[label] = chosen;
      }
      const metric = identifier ? text.slice(identifier.from, identifier.to) : labels.__name__;
      if (metric) found.push({ metric, labels });
    },
  });
  yield* found;
}

/** Labels that expressions group or join by, which every series then has. */
function grouping(expr) {
  const lists = withoutVariables(expr).matchAll(
    /\b(?:by|on|group_left|group_right|ignoring|without)\s*\(([^()]*)\)/g,
  );
  return [...lists]
    .flatMap(([, list]) => list.split(',').map((label) => label.trim()))
    .filter((label) => /^[a-z_]\w*$/i.test(label) && label !== 'le');
}

/** What is asked of each metric, without what another selector of it asks as well: one series does for both. */
function asked(all) {
  const byMetric = new Map();
  for (const { metric, labels } of all.flatMap((expr) => [...selectors(expr)])) {
    const { __name__, ...own } = labels;
    void __name__;
    byMetric.set(metric, [...(byMetric.get(metric) ?? []), own]);
  }
  for (const [metric, list] of byMetric) {
    const distinct = [
      ...new Map(list.map((own) => [JSON.stringify(Object.entries(own).sort()), own])).values(),
    ];
    const isWithin = (own, other) =>
      own !== other && Object.entries(own).every(([name, value]) => other[name] === value);
    byMetric.set(
      metric,
      distinct.filter((own) => !distinct.some((other) => isWithin(own, other))),
    );
  }
  return byMetric;
}

export function seriesFor(dashboards) {
  const all = dashboards.flatMap(expressions);
  const shared = Object.fromEntries(
    [...new Set(all.flatMap(grouping))].map((label) => [label, COMMON[label] ?? `${label}-1`]),
  );
  const series = [];
  for (const [metric, list] of asked(all)) {
    for (const own of list) {
      const bounds = metric.endsWith('_bucket') && !own.le ? BOUNDS : [own.le];
      for (const le of bounds) {
        const complete = { ...COMMON, ...shared, ...own, ...(le === undefined ? {} : { le }) };
        const written = Object.entries(complete)
          .sort()
          .map(([name, value]) => `${name}=${JSON.stringify(value)}`);
        series.push({
          key: `${metric}{${written.join(',')}}`,
          metric,
          weight: le === undefined ? 1 : BOUNDS.indexOf(le) + 1,
        });
      }
    }
  }
  return series.sort((a, b) => (a.metric < b.metric ? -1 : 1));
}

/** An exposition whose values rise, so that rates are above nothing. */
export function serve(series, port) {
  const began = Date.now();
  const server = createServer((_request, response) => {
    const seconds = (Date.now() - began) / 1000 + 60;
    response.setHeader('Content-Type', 'text/plain; version=0.0.4');
    response.end(
      series
        .map(({ key, weight }, index) => `${key} ${(seconds * weight * (1 + (index % 7))).toFixed(3)}\n`)
        .join(''),
    );
  });
  return new Promise((resolve) =>
    server.listen(port, '127.0.0.1', () =>
      resolve({ stop: () => new Promise((done) => server.close(done)) }),
    ),
  );
}
