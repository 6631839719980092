import { SceneDataLayerSet, ControlsLabel, dataLayers } from '@grafana/scenes';
import { css } from '@emotion/css';
import type { DashboardScene } from './DashboardScene';

/** A switch for each kind of annotations of a dashboard. */
export function AnnotationControls({ scene }: { scene: DashboardScene }) {
  const { $data } = scene.useState();
  if (!($data instanceof SceneDataLayerSet)) return null;
  return $data.state.layers.map(
    (layer) =>
      layer instanceof dataLayers.AnnotationsDataLayer && <Control key={layer.state.key} layer={layer} />,
  );
}

function Control({ layer }: { layer: InstanceType<typeof dataLayers.AnnotationsDataLayer> }) {
  const { name, isHidden, key, data } = layer.useState();
  if (isHidden) return null;
  const [error] = data?.errors ?? [];
  return (
    <div className={STYLE}>
      <ControlsLabel
        htmlFor={`data-layer-${key}`}
        label={name}
        {...(error?.message ? { error: error.message } : {})}
      />
      <layer.Component model={layer} />
    </div>
  );
}

const STYLE = css({ display: 'flex' });
