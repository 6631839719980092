import { request } from './http';

/** A data source as the server keeps it. */
export interface KeptSource {
  uid: string;
  name: string;
  kind: 'prometheus' | 'loki' | 'alertmanager';
  /** Empty for this server itself. */
  url: string;
  /** Whether it is asked where none of its kind is named. */
  isDefault: boolean;
  settings?: Record<string, unknown>;
}

export const listSources = (): Promise<KeptSource[]> => request('/api/ui/datasources');
