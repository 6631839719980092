import { css } from '@emotion/css';
import { getFrameDisplayName, toCSV, type DataFrame, type PanelData } from '@grafana/data';
import { sceneGraph, type VizPanel } from '@grafana/scenes';
import { Button, Drawer, Select, Tab, TabContent, TabsBar } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { useState } from 'react';
import type { Inspected, InspectTab } from './inspect';
import { download } from './download';

const TABS: Record<InspectTab, string> = { data: 'Data', json: 'Panel JSON', query: 'Queries' };

interface Props {
  inspected: Inspected;
  onChange: (inspected: Inspected | undefined) => void;
}

/** Shows what is behind a panel: its data, its queries and how long they took, and its JSON. */
export default function Inspector({ inspected, onChange }: Props) {
  const { panel, tab } = inspected;
  const data = sceneGraph.getData(panel).state.data;
  return (
    <Drawer
      title={`Inspect: ${sceneGraph.interpolate(panel, panel.state.title) || 'panel'}`}
      onClose={() => onChange(undefined)}
      tabs={
        <TabsBar>
          {(Object.keys(TABS) as InspectTab[]).map((name) => (
            <Tab
              key={name}
              label={TABS[name]}
              active={name === tab}
              onChangeTab={() => onChange({ panel, tab: name })}
            />
          ))}
        </TabsBar>
      }
    >
      <TabContent>
        {tab === 'data' && <Data frames={data?.series ?? []} title={panel.state.title} />}
        {tab === 'query' && <Queries data={data} />}
        {tab === 'json' && <pre>{panelJson(panel)}</pre>}
      </TabContent>
    </Drawer>
  );
}

const TABLE = { width: 760, height: 640 };

function Data({ frames, title }: { frames: DataFrame[]; title: string }) {
  const [chosen, setChosen] = useState(0);
  const frame = frames[Math.min(chosen, frames.length - 1)];
  if (!frame) return <p>The panel has no data.</p>;
  const choices = frames.map((each, value) => ({ value, label: getFrameDisplayName(each, value) }));
  return (
    <div className={STACK}>
      <div className={ROW}>
        <Select
          aria-label="Frame"
          options={choices}
          value={chosen}
          onChange={({ value = 0 }) => setChosen(value)}
        />
        <Button
          icon="download-alt"
          variant="secondary"
          onClick={() => download(`${title || 'panel'}.csv`, toCSV([frame]), 'text/csv')}
        >
          CSV
        </Button>
      </div>
      <TableNG data={frame} width={TABLE.width} height={TABLE.height} />
    </div>
  );
}

function Queries({ data }: { data: PanelData | undefined }) {
  const request = data?.request;
  const took = request?.endTime ? request.endTime - request.startTime : undefined;
  const rows = (data?.series ?? []).reduce((sum, { length }) => sum + length, 0);
  const executed = [
    ...new Set(
      (data?.series ?? []).map(({ refId, meta }) => `${refId ?? ''}: ${meta?.executedQueryString ?? ''}`),
    ),
  ];
  return (
    <>
      <p>
        {took !== undefined && `Took ${took} ms. `}
        {data?.series.length ?? 0} frames, {rows} rows, step {request?.interval}.
      </p>
      {data?.errors?.map(({ message, refId }) => (
        <p key={refId} role="alert">
          {refId}: {message}
        </p>
      ))}
      {executed.map((query) => (
        <pre key={query}>{query}</pre>
      ))}
    </>
  );
}

function panelJson({ state: { key, title, description, pluginId, options, fieldConfig } }: VizPanel): string {
  return JSON.stringify({ key, title, description, type: pluginId, options, fieldConfig }, undefined, 2);
}

const STACK = css({ display: 'flex', flexDirection: 'column', gap: 8 });
const ROW = css({ display: 'flex', gap: 8 });
