import { css } from '@emotion/css';
import { getFrameDisplayName, toCSV, type PanelData } from '@grafana/data';
import { SceneDataTransformer, sceneGraph, type VizPanel } from '@grafana/scenes';
import {
  Button,
  ClipboardButton,
  Drawer,
  InlineSwitch,
  Select,
  Tab,
  TabContent,
  TabsBar,
  useTheme2,
} from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { useEffect, useMemo, useRef, useState } from 'react';
import { DashboardScene } from './DashboardScene';
import type { Inspected, InspectTab } from './inspect';
import { download } from './download';
import { inspectedFrames, storedPanel } from './inspectData';
import { panelId } from './PanelMenu';

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
        {tab === 'data' && <Data panel={panel} data={data} />}
        {tab === 'query' && <Queries data={data} />}
        {tab === 'json' && <Json panel={panel} />}
      </TabContent>
    </Drawer>
  );
}

const TABLE_HEIGHT = 640;

function Data({ panel, data }: { panel: VizPanel; data: PanelData | undefined }) {
  const theme = useTheme2();
  const [chosen, setChosen] = useState(0);
  const [isTransformed, setTransformed] = useState(true);
  const [isFormatted, setFormatted] = useState(true);
  const [room, width] = useWidth();
  const frames = useMemo(
    () => (data ? inspectedFrames(panel, { isTransformed, isFormatted }, theme) : []),
    [panel, data, isTransformed, isFormatted, theme],
  );
  const frame = frames[Math.min(chosen, frames.length - 1)];
  const provider = sceneGraph.getData(panel);
  const hasTransformations =
    provider instanceof SceneDataTransformer && provider.state.transformations.length > 0;
  if (!frame) return <p>The panel has no data.</p>;
  const choices = frames.map((each, value) => ({ value, label: getFrameDisplayName(each, value) }));
  return (
    <div className={STACK} ref={room}>
      <div className={ROW}>
        <Select
          aria-label="Frame"
          options={choices}
          value={Math.min(chosen, frames.length - 1)}
          onChange={({ value = 0 }) => setChosen(value)}
        />
        {hasTransformations && (
          <InlineSwitch
            label="Transformed"
            showLabel
            value={isTransformed}
            onChange={() => setTransformed(!isTransformed)}
          />
        )}
        <InlineSwitch
          label="Formatted"
          showLabel
          value={isFormatted}
          onChange={() => setFormatted(!isFormatted)}
        />
        <Button
          icon="download-alt"
          variant="secondary"
          onClick={() => download(`${panel.state.title || 'panel'}.csv`, toCSV([frame]), 'text/csv')}
        >
          CSV
        </Button>
      </div>
      {width > 0 && <TableNG data={frame} width={width} height={TABLE_HEIGHT} />}
    </div>
  );
}

/** How wide an element is. */
function useWidth() {
  const element = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    if (!element.current) return undefined;
    const observer = new ResizeObserver(([entry]) => entry && setWidth(Math.floor(entry.contentRect.width)));
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return [element, width] as const;
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

function Json({ panel }: { panel: VizPanel }) {
  const root = panel.getRoot();
  const dashboard = root instanceof DashboardScene ? root.state.dashboard : undefined;
  const text = JSON.stringify(storedPanel(panel, panelId(panel), dashboard), undefined, 2);
  return (
    <div className={STACK}>
      <div>
        <ClipboardButton icon="copy" variant="secondary" getText={() => text}>
          Copy
        </ClipboardButton>
      </div>
      <pre>{text}</pre>
    </div>
  );
}

const STACK = css({ display: 'flex', flexDirection: 'column', gap: 8 });
const ROW = css({ display: 'flex', flexWrap: 'wrap', gap: 8 });
