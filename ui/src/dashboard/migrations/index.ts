import type { DashboardJson } from '../model';

export function migrate(_dashboard: DashboardJson): void {}
