import { request } from './http';

/** A data source as the server keeps it. */
export interface KeptSource {
  uid: string;
  name: string;
  kind: 'prometheus' | 'loki' | 'alertmanager';
  /** Empty for this server itself. */
  url: string;
  isDefault: boolean;
  options?: Record<string, unknown>;
}

export const listSources = (): Promise<KeptSource[]> => request('/api/ui/datasources');
