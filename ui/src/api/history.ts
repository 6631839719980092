/** Queries that users ran, as the server keeps them for each. */
import { request } from './http';

export interface KeptRun {
  id: number;
  /** The data source it was asked of. */
  datasource: string;
  queries: string[];
  comment: string;
  starred: boolean;
  /** Milliseconds since the epoch. */
  atMs: number;
}

const PATH = '/api/ui/user/history';

export const runs = {
  /** The newest first; `text` has words that queries or comment hold. */
  list: (text: string, starred: boolean) =>
    request<KeptRun[]>(PATH, { parameters: { search: text, starred: starred || undefined } }),
  /** What was run now, or before: the same queries are there once. */
  add: (run: Pick<KeptRun, 'datasource' | 'queries'> & { atMs?: number }) =>
    request<KeptRun>(PATH, { method: 'POST', body: run }),
  change: (id: number, change: { starred?: boolean; comment?: string }) =>
    request<KeptRun>(`${PATH}/${id}`, { method: 'PUT', body: change }),
  remove: (id: number): Promise<void> => request(`${PATH}/${id}`, { method: 'DELETE' }),
};
