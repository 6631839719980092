import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { Alert, Button, useStyles2 } from '@grafana/ui';
import type { PrometheusClient } from '~/api/prometheus';
import { COST, type QueryCost } from '~/datasources/prometheus/datasource';
import { Choice, Spacer, Toggle, Toolbar } from '../Toolbar';
import { count } from '~/app/format';
import { SERIES_DRAWN, costs, runnerOf, type PaneScene } from '../scene';
import type { View } from '../view';
import { CostSummary } from './Cost';
import { Explain } from './Explain';
import { ResultTable } from './ResultTable';

interface Props {
  scene: PaneScene;
  view: View;
  onView: (changed: Partial<View>) => void;
  /** Tells of plans; none where the data source has no such thing. */
  client: PrometheusClient | undefined;
}

/** Series as a graph, as a table, and what it took to find them. */
export function MetricResults({ scene, view, onView, client }: Props) {
  const styles = useStyles2(getStyles);
  const { graph, table, drawsAll } = scene.useState();
  const { data: overTime } = runnerOf(graph).useState();
  const { data: atEnd } = table.useState();
  const shown = view.metrics === 'explain' && !client ? 'both' : view.metrics;
  const own = shown === 'table' ? atEnd : overTime;
  const found = costs<QueryCost>(own?.series, COST);
  const series = own?.series.filter(({ length }) => length > 0).length ?? 0;
  const modes = [
    ['both', 'Graph and table'],
    ['graph', 'Graph'],
    ['table', 'Table'],
    ...(client ? ([['explain', 'Explain']] as const) : []),
  ] as const;
  return (
    <section className={styles.results} aria-label="Metrics">
      <Toolbar label="How metrics are shown">
        <Choice
          label="What is shown"
          value={shown}
          options={modes}
          onChange={(metrics) => onView({ metrics })}
        />
        {shown !== 'table' && (
          <Choice
            label="How it is drawn"
            value={view.style}
            options={DRAWN}
            onChange={(style) => onView({ style })}
          />
        )}
        {shown !== 'table' && client && (
          <Toggle on={view.exemplars} onChange={(exemplars) => onView({ exemplars })}>
            Exemplars
          </Toggle>
        )}
        <Spacer />
        <CostSummary
          costs={found}
          series={series}
          onExplain={client && shown !== 'explain' ? () => onView({ metrics: 'explain' }) : undefined}
        />
      </Toolbar>
      {own?.error && (
        <Alert severity="error" title="The query failed">
          {own.error.message}
        </Alert>
      )}
      {shown !== 'table' && (
        <div className={shown === 'explain' ? styles.small : styles.graph}>
          <graph.Component model={graph} />
        </div>
      )}
      {shown !== 'table' && series > SERIES_DRAWN && (
        <p className={styles.note}>
          {drawsAll
            ? `All ${count(series)} series are drawn.`
            : `The first ${SERIES_DRAWN} of ${count(series)} series are drawn.`}
          <Button size="sm" fill="text" onClick={() => scene.drawAll(!drawsAll)}>
            {drawsAll ? `Draw only the first ${SERIES_DRAWN}` : 'Draw all'}
          </Button>
        </p>
      )}
      {(shown === 'both' || shown === 'table') && <ResultTable runner={table} />}
      {shown === 'explain' && client && <Explain costs={found} client={client} scene={scene} />}
    </section>
  );
}

const DRAWN = [
  ['lines', 'Lines'],
  ['bars', 'Bars'],
  ['points', 'Points'],
  ['stacked', 'Stacked'],
] as const;

const getStyles = (theme: GrafanaTheme2) => ({
  results: css({ display: 'flex', flexDirection: 'column', gap: theme.spacing(1) }),
  graph: css({ display: 'flex', height: 'clamp(280px, 46vh, 560px)', '& > *': { flex: '1 1 auto' } }),
  note: css({
    color: theme.colors.text.secondary,
    fontSize: theme.typography.bodySmall.fontSize,
    margin: 0,
  }),
  small: css({ display: 'flex', height: 220, '& > *': { flex: '1 1 auto' } }),
});
