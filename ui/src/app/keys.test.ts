import { expect, it } from 'vitest';
import { KEY_HELP, PAGE_KEYS, keyReader } from './keys';

const press = (key: string, held: { ctrlKey?: boolean; metaKey?: boolean } = {}) => ({
  key,
  ctrlKey: false,
  metaKey: false,
  ...held,
});

it('keys that follow each other quickly are pairs', () => {
  let now = 0;
  const read = keyReader(() => now);
  expect(read(press('g'))).toBe('g');
  expect(read(press('h'))).toBe('g h');
  // A pair ends with its second key.
  expect(read(press('h'))).toBe('h');
  read(press('t'));
  now += 1500;
  expect(read(press('z'))).toBe('z');
  // What begins no pair leaves the next key alone.
  expect([read(press('v')), read(press('i'))]).toEqual(['v', 'i']);
});

it('control and command are one', () => {
  const read = keyReader(() => 0);
  expect(read(press('k', { ctrlKey: true }))).toBe('mod+k');
  expect(read(press('K', { metaKey: true }))).toBe('mod+k');
});

it('every key that leads to a page is told of, and none twice', () => {
  const told = KEY_HELP.flatMap(({ keys }) => keys.map(([pressed]) => pressed));
  expect(Object.keys(PAGE_KEYS).filter((keys) => !told.includes(keys))).toEqual([]);
  expect(new Set(told).size).toBe(told.length);
});
