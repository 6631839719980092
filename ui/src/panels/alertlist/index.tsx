import { css } from '@emotion/css';
import type { PanelProps } from '@grafana/data';
import { Badge } from '@grafana/ui';
import { useCallback } from 'react';
import { ownMetrics, type Labels } from '~/api/prometheus';
import { LabelList } from '~/app/LabelList';
import { ago } from '~/app/format';
import { useLoad } from '~/app/useLoad';
import { definePanel } from '../define';
import { NoData } from '../shared/NoData';

interface AlertListOptions {
  maxItems: number;
  alertName: string;
  /** Matchers of labels, such as `{severity="page"}`. */
  alertInstanceLabelFilter: string;
  stateFilter: { firing?: boolean; pending?: boolean; noData?: boolean; normal?: boolean; error?: boolean };
}

const OPTIONS: AlertListOptions = {
  maxItems: 20,
  alertName: '',
  alertInstanceLabelFilter: '',
  stateFilter: { firing: true, pending: true },
};
const REFRESH_MS = 15_000;

interface Alert {
  labels: Labels;
  state: 'firing' | 'pending';
  activeAt: string;
}

function AlertList({ options, replaceVariables }: PanelProps<AlertListOptions>) {
  const { value } = useLoad(
    useCallback(() => ownMetrics.get<{ alerts: Alert[] }>('alerts', {}), []),
    REFRESH_MS,
  );
  const name = replaceVariables(options.alertName ?? '').toLowerCase();
  const matches = labelFilter(replaceVariables(options.alertInstanceLabelFilter ?? ''));
  const shown = (value?.alerts ?? [])
    .filter(({ state }) => options.stateFilter[state] !== false)
    .filter(({ labels }) => (labels.alertname ?? '').toLowerCase().includes(name) && matches(labels))
    .slice(0, options.maxItems);
  if (!shown.length) return <NoData message={value ? 'No alerts' : undefined} />;
  return (
    <div className={LIST}>
      {shown.map(({ labels, state, activeAt }) => (
        <div key={JSON.stringify(labels)} className={ROW}>
          <Badge text={state} color={state === 'firing' ? 'red' : 'orange'} />
          <a href="/alerts">
            <strong>{labels.alertname}</strong>
          </a>
          <span>{ago(activeAt)}</span>
          <LabelList labels={labels} without={['alertname']} />
        </div>
      ))}
    </div>
  );
}

const MATCHER = /(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"/g;

function labelFilter(text: string): (labels: Labels) => boolean {
  const matchers = [...text.matchAll(MATCHER)].map(([, name = '', operator = '=', value = '']) => ({
    name,
    operator,
    value,
  }));
  return (labels) =>
    matchers.every(({ name, operator, value }) => {
      const actual = labels[name] ?? '';
      const isMatch = operator.includes('~') ? new RegExp(`^(?:${value})$`).test(actual) : actual === value;
      return operator.startsWith('!') ? !isMatch : isMatch;
    });
}

const LIST = css({ height: '100%', overflow: 'auto' });
const ROW = css({ alignItems: 'center', display: 'flex', flexWrap: 'wrap', gap: 8, padding: 4 });

export const plugin = definePanel({
  id: 'alertlist',
  name: 'Alert list',
  component: AlertList,
  options: OPTIONS,
  skipDataQuery: true,
});
