import { getDataSourceSrv } from '@grafana/runtime';
import { sceneGraph } from '@grafana/scenes';
import { Button, Field, Input, Stack, ToolbarButton } from '@grafana/ui';
import { useState } from 'react';
import { MIXED } from '~/datasources/catalog';
import type { DashboardScene } from '../../DashboardScene';
import { openInspector } from '../../inspect';
import { refIdAt } from '../../load';
import type { PanelJson, Reference, Target } from '../../model';
import { NEW_TARGET } from '../newPanel';
import { DataSourceSelect } from '../DataSourceSelect';
import { moved, removedAt, replacedAt } from '../json';
import type { PanelPreview } from './preview';
import { QueryRow } from './QueryRow';
import { useData } from './useData';

interface Props {
  scene: DashboardScene;
  preview: PanelPreview;
}

/** What the panel asks, and whom. */
export function QueriesTab({ scene, preview }: Props) {
  const { json } = preview.useState();
  const data = useData(preview);
  const [hasOptions, setHasOptions] = useState(false);
  const { targets = [] } = json;
  const set = (next: Target[]) => preview.change({ targets: next });
  const isMixed = uidOf(json.datasource) === MIXED;
  const first = json.datasource ?? targets.find(({ datasource }) => datasource)?.datasource;
  // Beside others a query without a source of its own goes to the default one.
  const kindOf = ({ datasource }: Target) =>
    typeOf(datasource ?? (isMixed ? undefined : json.datasource), preview);
  const choose = (datasource: Reference) => {
    const isOtherKind = !isMixed && typeOf(first, preview) !== typeOf(datasource, preview);
    preview.change(withSource(json, datasource, isOtherKind));
  };
  const errors = new Map((data?.errors ?? []).map(({ refId, message }) => [refId, message]));
  const failure = data?.errors?.find(({ refId }) => !refId)?.message;
  return (
    <Stack direction="column" gap={2}>
      <Stack alignItems="center" wrap="wrap">
        <DataSourceSelect scene={scene} mixed value={first} onChange={choose} />
        <ToolbarButton
          variant="canvas"
          icon="cog"
          isOpen={hasOptions}
          onClick={() => setHasOptions(!hasOptions)}
        >
          Query options
        </ToolbarButton>
        <Button
          variant="secondary"
          icon="info-circle"
          onClick={() => openInspector(preview.state.panel, 'query')}
        >
          Query inspector
        </Button>
      </Stack>
      {hasOptions && <QueryOptions json={json} preview={preview} />}
      {targets.map((target, index) => (
        <QueryRow
          key={target.refId ?? index}
          scene={scene}
          target={target}
          type={kindOf(target)}
          isMixed={isMixed}
          taken={targets.map(({ refId }) => refId ?? '')}
          error={errors.get(target.refId) ?? (targets.length === 1 ? failure : undefined)}
          range={() => rangeOf(preview)}
          isFirst={index === 0}
          isLast={index === targets.length - 1}
          onChange={(next) =>
            set(replacedAt(targets, index, kindOf(next) === kindOf(target) ? next : emptied(next)))
          }
          onMove={(by) => set(moved(targets, index, index + by))}
          onDuplicate={() => set([...targets, { ...target, refId: freeRefId(targets) }])}
          onRemove={() => set(removedAt(targets, index))}
        />
      ))}
      <div>
        <Button variant="secondary" icon="plus" onClick={() => set([...targets, newTarget(json)])}>
          Add query
        </Button>
      </div>
    </Stack>
  );
}

const uidOf = (reference: Reference) => (typeof reference === 'string' ? reference : reference?.uid);

function typeOf(reference: Reference, preview: PanelPreview): string {
  const uid = uidOf(reference);
  const named = uid ? sceneGraph.interpolate(preview, uid) : uid;
  const type = typeof reference === 'object' ? reference?.type : undefined;
  const found = getDataSourceSrv().getInstanceSettings(
    named || type ? { ...(named ? { uid: named } : {}), ...(type ? { type } : {}) } : null,
  );
  return found?.type ?? 'prometheus';
}

function rangeOf(preview: PanelPreview) {
  const { from, to } = sceneGraph.getTimeRange(preview).state.value;
  return { startMs: from.valueOf(), endMs: to.valueOf() };
}

function freeRefId(targets: Target[]): string {
  const taken = new Set(targets.map(({ refId }) => refId));
  let index = 0;
  while (taken.has(refIdAt(index))) index++;
  return refIdAt(index);
}

const newTarget = ({ targets = [], datasource }: PanelJson): Target => ({
  refId: freeRefId(targets),
  ...NEW_TARGET,
  ...(datasource && uidOf(datasource) !== MIXED ? { datasource } : {}),
});

/**
 * Queries follow the panel to its data source; with several, each keeps its own. A source of another kind is asked in another
 * language, so that it begins with an empty query.
 */
export function withSource(
  { targets = [], datasource: before }: PanelJson,
  datasource: Reference,
  isOtherKind: boolean,
): Partial<PanelJson> {
  if (uidOf(datasource) === MIXED) {
    const kept = before && uidOf(before) !== MIXED ? { datasource: before } : {};
    return { datasource, targets: targets.map((target) => ({ ...kept, ...target })) };
  }
  if (isOtherKind)
    return { datasource, targets: [{ refId: 'A', ...NEW_TARGET, ...(datasource ? { datasource } : {}) }] };
  const next = targets.map(({ datasource: _before, ...target }) => ({
    ...target,
    ...(datasource ? { datasource } : {}),
  }));
  return { datasource, targets: next };
}

/** A query for a source of another kind: what was asked before means nothing there. */
export const emptied = ({ refId, hide, datasource }: Target): Target => ({
  ...(refId === undefined ? {} : { refId }),
  ...NEW_TARGET,
  ...(hide ? { hide } : {}),
  ...(datasource ? { datasource } : {}),
});

function QueryOptions({ json, preview }: { json: PanelJson; preview: PanelPreview }) {
  const field = (
    name: 'interval' | 'timeFrom' | 'timeShift',
    label: string,
    about: string,
    placeholder: string,
  ) => (
    <Field label={label} description={about} noMargin>
      <Input
        id={`query-${name}`}
        width={16}
        placeholder={placeholder}
        defaultValue={json[name] ?? ''}
        onBlur={({ currentTarget }) => preview.change({ [name]: currentTarget.value.trim() || undefined })}
      />
    </Field>
  );
  return (
    <Stack wrap="wrap">
      <Field label="Most points" description="Of a series" noMargin>
        <Input
          id="query-points"
          type="number"
          width={16}
          placeholder="Width of the panel"
          defaultValue={json.maxDataPoints ?? ''}
          onBlur={({ currentTarget }) =>
            preview.change({ maxDataPoints: Number(currentTarget.value) || undefined })
          }
        />
      </Field>
      {field('interval', 'Shortest step', 'Between points', '15s')}
      {field('timeFrom', 'Relative time', 'In place of the range', '1h')}
      {field('timeShift', 'Time shift', 'This long before', '1d')}
    </Stack>
  );
}
