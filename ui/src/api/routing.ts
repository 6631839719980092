/** Who is told of alerts: the routing tree, what becomes of an alert, and what was told. */
import { request } from './http';
import type { Labels } from './prometheus';

export interface RouteNode {
  id: string;
  matchers: string[];
  receiver: string;
  /** Whether an alert that fits is offered to the next sibling, too. */
  continues: boolean;
  groupBy: string[];
  groupsByAll: boolean;
  groupWaitSeconds: number;
  groupIntervalSeconds: number;
  repeatIntervalSeconds: number;
  muteTimeIntervals: string[];
  activeTimeIntervals: string[];
  groups: number;
  alerts: number;
  routes: RouteNode[];
}
export interface RoutingTree {
  root: RouteNode;
  receivers: { name: string; integrations: string[] }[];
  intervals: string[];
}

interface Told {
  integration: string;
  toldAt: string | null;
  knowsFiring: boolean;
  firing: number;
  resolved: number;
  repeatsAfter: string | null;
}
interface RouteExplanation {
  route: string;
  path: string[];
  notTaken: { route: string; matcher: string }[];
  receiver: string;
  groupKey: string;
  nextLook: string | null;
  mutedBy: string[];
  told: Told[];
  underWay: { integration: string; attempt: number; isSending: boolean; lastError: string | null }[];
  attempts: Omit<Attempt, 'receiver' | 'groupKey'>[];
}
export interface Explanation {
  labels: Labels;
  isKnown: boolean;
  isFiring: boolean;
  silencedBy: string[];
  inhibitedBy: { rule: string; fingerprint: string } | null;
  routes: RouteExplanation[];
}

export interface Attempt {
  at: string;
  receiver: string;
  integration: string;
  groupKey: string;
  attempt: number;
  reason: string;
  error: string | null;
  isRepeated: boolean;
}
export interface LastTold {
  at: string;
  receiver: string;
  integration: string;
  groupKey: string;
  firing: number;
  resolved: number;
  forgottenAt: string;
}
export interface Notifications {
  attempts: Attempt[];
  told: LastTold[];
  total: { attempts: number; told: number };
}

export const routing = {
  tree: () => request<RoutingTree>('/api/v2/routes'),

  /** What becomes of the alerts that matchers such as `alertname="Down"` fit; of labels that no alert has, what would. */
  explain: (labels: string) => request<Explanation[]>('/api/v2/explain', { parameters: { labels } }),

  notifications: (parameters: { receiver?: string; failed?: boolean; limit?: number }) =>
    request<Notifications>('/api/v2/notifications', {
      parameters: { ...parameters, failed: parameters.failed || undefined },
    }),
};
