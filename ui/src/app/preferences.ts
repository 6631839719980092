/**
 * What a user prefers, kept in the browser so that it is there before all else; what the server keeps is adopted when it is known.
 * Imports nothing: it is read before everything is.
 */
export interface Preferences {
  theme: 'dark' | 'light';
  /** An IANA name, `utc` or `browser`. */
  timeZone: string;
  weekStart: 'browser' | 'monday' | 'saturday' | 'sunday';
}

/** Wishes as the server keeps them. */
export interface Wishes {
  theme?: 'dark' | 'light' | 'system';
  timezone?: string;
  weekStart?: 'monday' | 'saturday' | 'sunday';
  homeDashboardUid?: string;
}

const KEY = 'bartizan.preferences';
const DEFAULTS: Preferences = { theme: 'dark', timeZone: 'browser', weekStart: 'browser' };

function stored(): Partial<Preferences> {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Preferences>;
  } catch {
    return {};
  }
}

export const loadPreferences = (): Preferences => ({ ...DEFAULTS, ...stored() });

export function savePreferences(changed: Partial<Preferences>): void {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...stored(), ...changed }));
  } catch {
    // A browser that keeps nothing begins anew each time.
  }
}

/**
 * Takes over what the server says: of a user all they wish; of everybody only what nobody has chosen in this browser. Whether that
 * changed anything.
 */
export function adoptPreferences(wishes: Wishes, isUsers: boolean): boolean {
  const told: Partial<Preferences> = {
    ...(wishes.theme ? { theme: shownTheme(wishes.theme) } : {}),
    ...(wishes.timezone ? { timeZone: wishes.timezone } : {}),
    ...(wishes.weekStart ? { weekStart: wishes.weekStart } : {}),
  };
  const before = loadPreferences();
  savePreferences(isUsers ? told : { ...told, ...stored() });
  return JSON.stringify(loadPreferences()) !== JSON.stringify(before);
}

function shownTheme(theme: 'dark' | 'light' | 'system'): Preferences['theme'] {
  if (theme !== 'system') return theme;
  return window.matchMedia('(prefers-color-scheme: light)').matches ? 'light' : 'dark';
}
