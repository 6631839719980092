/**
 * Dashboards of older versions of the schema made into the current one, in the order in which the schema changed.
 * A step looks at what it finds, not at the version alone: generated dashboards often claim a version they are not of.
 */
import { allPanels, type DashboardJson, type PanelJson } from '../model';
import { completeFieldConfig, migrateFieldConfig } from './fieldConfig';
import { migrateLinks, migrateLinkVariables } from './links';
import {
  dropCopies,
  migrateGaugeOptions,
  migrateLegend,
  migrateMaxPerRow,
  migrateTooltip,
  migrateTransformations,
} from './options';
import { migratePanelType } from './panelTypes';
import { migrateRows } from './rows';
import { migrateVariable } from './variables';

interface Step {
  /** The version of the schema that brought the change. */
  version: number;
  dashboard?: (dashboard: DashboardJson) => void;
  panel?: (panel: PanelJson) => void;
}

const STEPS: Step[] = [
  { version: 16, dashboard: migrateRows },
  { version: 16, panel: completeFieldConfig },
  { version: 17, panel: migrateMaxPerRow },
  { version: 18, panel: migrateGaugeOptions },
  { version: 19, panel: migrateLinks },
  { version: 21, panel: migrateLinkVariables },
  { version: 27, dashboard: dropCopies },
  { version: 28, panel: migratePanelType },
  { version: 29, dashboard: ({ templating }) => templating.list.forEach(migrateVariable) },
  { version: 30, panel: migrateFieldConfig },
  { version: 30, panel: migrateTooltip },
  { version: 31, panel: migrateTransformations },
  { version: 37, panel: migrateLegend },
  { version: 40, dashboard: migrateRefresh },
];

export function migrate(dashboard: DashboardJson): void {
  for (const { dashboard: whole, panel } of STEPS) {
    whole?.(dashboard);
    if (panel) for (const each of allPanels(dashboard.panels)) panel(each);
  }
}

/** No refresh was `false` before it was nothing. */
function migrateRefresh(dashboard: DashboardJson): void {
  if (typeof dashboard.refresh !== 'string') dashboard.refresh = '';
}
