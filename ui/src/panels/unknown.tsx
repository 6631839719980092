import type { PanelPlugin } from '@grafana/data';
import { definePanel } from './define';
import { NoData } from './shared/NoData';

/** In the place of a panel whose kind is not here, for dashboards that have others besides. */
export const unknownPanel = (id: string): PanelPlugin =>
  definePanel({
    id,
    name: id,
    component: () => <NoData message={`There is no panel of type ${id}`} />,
    options: {},
    skipDataQuery: true,
  });
