import { getFieldDisplayName, type PanelData } from '@grafana/data';
import { sceneGraph } from '@grafana/scenes';
import { useMemo } from 'react';
import type { PanelPreview } from './preview';

/** What the panel shows now. */
export function useData(preview: PanelPreview): PanelData | undefined {
  const { panel } = preview.useState();
  return sceneGraph.getData(panel).useState().data;
}

/** The names of the fields that the panel shows. */
export function useFieldNames(preview: PanelPreview): string[] {
  const frames = useData(preview)?.series;
  return useMemo(
    () => [
      ...new Set(
        (frames ?? []).flatMap((frame) =>
          frame.fields.map((field) => getFieldDisplayName(field, frame, frames)),
        ),
      ),
    ],
    [frames],
  );
}
