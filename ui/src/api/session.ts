/** Who is looking, and what they may do. */
import type { Wishes } from '~/app/preferences';
import { request, setCsrfToken } from './http';

export type Role = 'viewer' | 'editor' | 'admin';

export interface User {
  id: number;
  login: string;
  name?: string;
  role: Role;
}

export interface Session {
  /** Absent where nobody has logged in. */
  user?: User | null;
  /** What may be done; absent where a login is needed first. */
  role?: Role | null;
  csrfToken?: string | null;
  /** What the user wishes, and everybody where they wish nothing. */
  preferences?: Wishes;
  /** Whether the server keeps users, dashboards and data sources. */
  isKept: boolean;
}

const RANKS: Record<Role, number> = { viewer: 1, editor: 2, admin: 3 };

/** Whether logs and an Alertmanager are there beside metrics: in the embedded default, which alone keeps users. */
export const hasAllParts = () => current.isKept;

let current: Session = { isKept: false, role: 'viewer' };

export const session = (): Session => current;

export function may(role: Role): boolean {
  return Boolean(current.role && RANKS[current.role] >= RANKS[role]);
}

/** Asks the server who is looking. A seat that keeps nothing says so, and lets everybody do what its APIs let them. */
export async function loadSession(): Promise<Session> {
  return take(await request<Told>('/api/ui/session'));
}

export async function logIn(login: string, password: string): Promise<Session> {
  return take(await request<Told>('/api/ui/login', { method: 'POST', body: { login, password } }));
}

export async function logOut(): Promise<void> {
  await request('/api/ui/session', { method: 'DELETE' });
}

type Told = Omit<Session, 'isKept'> & { isKept?: boolean };

function take(told: Told): Session {
  current = { ...told, isKept: told.isKept ?? true };
  setCsrfToken(told.csrfToken ?? undefined);
  return current;
}
