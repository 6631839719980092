/** The pie chart plugin of before version 8. */
import type { PanelJson } from '../model';
import { overrideFor, reducerOf } from './shared';

interface OldPie extends PanelJson {
  aliasColors?: Record<string, string>;
  format?: string;
  decimals?: number | null;
  pieType?: string;
  valueName?: string;
  legendType?: string;
  legend?: { show?: boolean; values?: boolean; percentage?: boolean };
}

export function migratePie(panel: PanelJson): void {
  const { aliasColors = {}, format, decimals, pieType, valueName, legendType, legend } = panel as OldPie;
  const values = [...(legend?.values ? ['value'] : []), ...(legend?.percentage ? ['percent'] : [])];
  panel.type = 'piechart';
  panel.options = {
    pieType: pieType === 'donut' ? 'donut' : 'pie',
    reduceOptions: { calcs: [reducerOf(valueName ?? 'current')], values: false, fields: '' },
    legend: {
      showLegend: legend?.show ?? true,
      displayMode: values.length ? 'table' : 'list',
      placement: legendType === 'Right side' ? 'right' : 'bottom',
      values,
    },
  };
  panel.fieldConfig = {
    defaults: { ...(format ? { unit: format } : {}), ...(decimals == null ? {} : { decimals }) } as never,
    overrides: Object.entries(aliasColors).map(([name, fixedColor]) =>
      overrideFor({ id: 'byName', options: name }, { color: { mode: 'fixed', fixedColor } }),
    ) as never,
  };
  for (const name of [
    'aliasColors',
    'format',
    'decimals',
    'pieType',
    'valueName',
    'legendType',
    'legend',
    'strokeWidth',
    'combine',
    'breakPoint',
  ])
    delete panel[name];
}
