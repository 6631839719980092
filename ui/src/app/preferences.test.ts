import { beforeEach, expect, it, vi } from 'vitest';
import { adoptPreferences, loadPreferences, savePreferences } from './preferences';

beforeEach(() => localStorage.clear());

it('what a user wishes holds everywhere', () => {
  savePreferences({ theme: 'dark', timeZone: 'utc' });
  expect(adoptPreferences({ theme: 'light' }, true)).toBe(true);
  expect(loadPreferences()).toMatchObject({ theme: 'light', timeZone: 'utc', weekStart: 'browser' });
  expect(adoptPreferences({ theme: 'light' }, true), 'nothing is new').toBe(false);
});

it('what holds for everybody gives way to what was chosen in the browser', () => {
  savePreferences({ theme: 'light' });
  adoptPreferences({ theme: 'dark', timezone: 'Europe/Berlin' }, false);
  expect(loadPreferences()).toMatchObject({ theme: 'light', timeZone: 'Europe/Berlin' });
});

it('the system may decide on colours', () => {
  vi.stubGlobal('matchMedia', () => ({ matches: true }));
  adoptPreferences({ theme: 'system' }, true);
  expect(loadPreferences().theme).toBe('light');
  vi.unstubAllGlobals();
});
