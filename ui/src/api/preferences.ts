/** What users prefer, as the server keeps it. */
import { request } from './http';
import { session } from './session';

export interface KeptPreferences {
  theme?: 'light' | 'dark' | 'system';
  timezone?: string;
  weekStart?: string;
  /** The dashboard to begin with. */
  homeDashboardUid?: string;
}

const OWN = '/api/ui/user/preferences';
const EVERYBODY = '/api/ui/preferences';

/** The dashboard that this user begins with, by their own wish or else everybody's. */
export async function homeDashboard(): Promise<string | undefined> {
  const { isKept, user } = session();
  if (!isKept) return undefined;
  const own = user ? await request<KeptPreferences>(OWN) : {};
  return own.homeDashboardUid ?? (await request<KeptPreferences>(EVERYBODY)).homeDashboardUid;
}

/** Makes a dashboard the one that this user begins with; undefined is the overview again. */
export async function setHomeDashboard(uid: string | undefined): Promise<void> {
  const { homeDashboardUid: _before, ...rest } = await request<KeptPreferences>(OWN);
  await request(OWN, { method: 'PUT', body: { ...rest, ...(uid ? { homeDashboardUid: uid } : {}) } });
}
