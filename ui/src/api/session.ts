/** Who is looking, and what they may do. */
import { ApiError, request, setCsrfToken } from './http';

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
  /** Whether the server keeps users, dashboards and data sources. */
  isKept: boolean;
}

const RANKS: Record<Role, number> = { viewer: 1, editor: 2, admin: 3 };

let current: Session = { isKept: false, role: 'viewer' };

export const session = (): Session => current;

export function may(role: Role): boolean {
  return Boolean(current.role && RANKS[current.role] >= RANKS[role]);
}

/** Asks the server who is looking. One that keeps nothing lets everybody do what its APIs let them. */
export async function loadSession(): Promise<Session> {
  try {
    return take(await request<Session>('/api/ui/session'));
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return take({ role: 'admin' }, false);
    throw error;
  }
}

export async function logIn(login: string, password: string): Promise<Session> {
  return take(await request<Session>('/api/ui/login', { method: 'POST', body: { login, password } }));
}

export async function logOut(): Promise<void> {
  await request('/api/ui/session', { method: 'DELETE' });
}

function take(told: Omit<Session, 'isKept'>, isKept = true): Session {
  current = { ...told, isKept };
  setCsrfToken(told.csrfToken ?? undefined);
  return current;
}
