/** Alertmanager's API v2: what it answers, and how to ask. */
import { request } from './http';
import type { Labels } from './prometheus';

export interface Matcher {
  name: string;
  value: string;
  isRegex: boolean;
  isEqual: boolean;
}
export interface AlertStatus {
  state: 'active' | 'suppressed' | 'unprocessed';
  silencedBy: string[];
  inhibitedBy: string[];
  mutedBy?: string[];
}
export interface GettableAlert {
  fingerprint: string;
  labels: Labels;
  annotations: Labels;
  startsAt: string;
  endsAt: string;
  updatedAt: string;
  generatorURL?: string;
  receivers: { name: string }[];
  status: AlertStatus;
}
export interface Silence {
  id: string;
  matchers: Matcher[];
  startsAt: string;
  endsAt: string;
  updatedAt: string;
  createdBy: string;
  comment: string;
  status: { state: 'active' | 'pending' | 'expired' };
}
export type NewSilence = Omit<Silence, 'id' | 'updatedAt' | 'status'> & { id?: string };

export class AlertmanagerClient {
  constructor(readonly base: string) {}

  alerts(filter: string[] = []): Promise<GettableAlert[]> {
    return request(`${this.base}/api/v2/alerts`, { parameters: { filter } });
  }

  silences(filter: string[] = []): Promise<Silence[]> {
    return request(`${this.base}/api/v2/silences`, { parameters: { filter } });
  }

  silence(silence: NewSilence): Promise<{ silenceID: string }> {
    return request(`${this.base}/api/v2/silences`, { method: 'POST', body: silence });
  }

  expire(id: string): Promise<void> {
    return request(`${this.base}/api/v2/silence/${encodeURIComponent(id)}`, { method: 'DELETE' });
  }
}

export const ownAlertmanager = new AlertmanagerClient('');

/** A matcher as the API's filters and users write it. */
export function writeMatcher({ name, value, isRegex, isEqual }: Matcher): string {
  const operator = isRegex ? (isEqual ? '=~' : '!~') : isEqual ? '=' : '!=';
  return `${name}${operator}${JSON.stringify(value)}`;
}
