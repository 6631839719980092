/** Users, preferences and data sources, as the server keeps them. */
import type { Wishes } from '~/app/preferences';
import { request } from './http';
import type { Role } from './session';

export interface KnownUser {
  id: number;
  login: string;
  name: string;
  role: Role;
  isDisabled: boolean;
  createdMs: number;
  seenMs: number | null;
}
export interface LoginSession {
  createdMs: number;
  seenMs: number;
  /** What the browser says of itself. */
  client: string;
}

export type SourceKind = 'prometheus' | 'loki' | 'alertmanager';
export interface StoredSource {
  uid: string;
  name: string;
  kind: SourceKind;
  /** Empty for this server itself. */
  url: string;
  isDefault: boolean;
  isProvisioned: boolean;
  settings: Record<string, unknown>;
  /** Which secrets are stored with it; what they are is never told. */
  secretNames: string[];
}
export interface SourceToStore {
  source: Omit<StoredSource, 'isProvisioned' | 'secretNames'>;
  /** Those that are not named stay as they are. */
  secrets: Record<string, string>;
}

const user = (id: number) => `/api/ui/users/${id}`;

export const users = {
  list: () => request<KnownUser[]>('/api/ui/users'),
  create: (made: { login: string; name: string; role: Role; password: string }) =>
    request<KnownUser>('/api/ui/users', { method: 'POST', body: made }),
  change: (id: number, change: { name?: string; role?: Role; isDisabled?: boolean; password?: string }) =>
    request<KnownUser>(user(id), { method: 'PUT', body: change }),
  remove: (id: number): Promise<void> => request(user(id), { method: 'DELETE' }),
  sessions: (id: number) => request<LoginSession[]>(`${user(id)}/sessions`),
  endSessions: (id: number) => request<{ ended: number }>(`${user(id)}/sessions`, { method: 'DELETE' }),
};

export const profile = {
  preferences: () => request<Wishes>('/api/ui/user/preferences'),
  setPreferences: (preferences: Wishes): Promise<void> =>
    request('/api/ui/user/preferences', { method: 'PUT', body: preferences }),
  changePassword: (oldPassword: string, newPassword: string): Promise<void> =>
    request('/api/ui/user/password', { method: 'PUT', body: { oldPassword, newPassword } }),
  sessions: () => request<LoginSession[]>('/api/ui/user/sessions'),
  endOtherSessions: () => request<{ ended: number }>('/api/ui/user/sessions', { method: 'DELETE' }),
};

/** What holds for who has set nothing. */
export const everybody = {
  preferences: () => request<Wishes>('/api/ui/preferences'),
  setPreferences: (preferences: Wishes): Promise<void> =>
    request('/api/ui/preferences', { method: 'PUT', body: preferences }),
};

const path = (uid: string) => `/api/ui/datasources/${encodeURIComponent(uid)}`;

export const sources = {
  list: () => request<StoredSource[]>('/api/ui/datasources'),
  create: (made: SourceToStore) =>
    request<StoredSource>('/api/ui/datasources', { method: 'POST', body: made }),
  change: (uid: string, changed: SourceToStore) =>
    request<StoredSource>(path(uid), { method: 'PUT', body: changed }),
  remove: (uid: string): Promise<void> => request(path(uid), { method: 'DELETE' }),
  /** Asks the server as the data source would; what it says. */
  test: (tried: SourceToStore) =>
    request<{ message: string }>('/api/ui/datasources/test', { method: 'POST', body: tried }),
};
