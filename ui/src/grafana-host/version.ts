/** The version of the Grafana packages, which panels of dashboards carry. */
export const GRAFANA_VERSION = '13.2.2';
