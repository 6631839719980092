/** What a user prefers, kept in the browser until there are users. Imports nothing: it is read before all else. */
export interface Preferences {
  theme: 'dark' | 'light';
  /** An IANA name, `utc` or `browser`. */
  timeZone: string;
}

const KEY = 'bartizan.preferences';
const DEFAULTS: Preferences = { theme: 'dark', timeZone: 'browser' };

export function loadPreferences(): Preferences {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? '{}');
    return { ...DEFAULTS, ...(stored as Partial<Preferences>) };
  } catch {
    return DEFAULTS;
  }
}

export function savePreferences(changed: Partial<Preferences>): void {
  localStorage.setItem(KEY, JSON.stringify({ ...loadPreferences(), ...changed }));
}
