/** What keys do: those that every page knows, and those of dashboards, as Grafana's users know them. */

/** Keys that begin pairs, such as `g h`. */
const FIRST = ['c', 'd', 'g', 'p', 't'];
/** A key that follows the first of a pair within this is one with it. */
const PAIR_MS = 1000;

/** Does what keys mean, such as `g h` or `mod+k`, and says whether they mean something. */
export type Act = (keys: string) => boolean;

/** Puts keys that follow each other together. What is held with control or command is written `mod+` and begins nothing. */
export function keyReader(now: () => number = () => performance.now()) {
  let first = { key: '', at: 0 };
  return ({ key, ctrlKey, metaKey }: Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'metaKey'>): string => {
    if (ctrlKey || metaKey) return `mod+${key.toLowerCase()}`;
    const isPair = first.key !== '' && now() - first.at < PAIR_MS;
    const keys = isPair ? `${first.key} ${key}` : key;
    first = { key: !isPair && FIRST.includes(key) ? key : '', at: now() };
    return keys;
  };
}

/** Listens to keys until what it gives is called. What is typed into a field is not for it. */
export function followKeys(act: Act): () => void {
  const read = keyReader();
  const press = (event: KeyboardEvent) => {
    if (event.defaultPrevented || event.altKey || MODIFIERS.includes(event.key)) return;
    const isWritten = !event.ctrlKey && !event.metaKey && isTyping(event.target);
    if (!isWritten && act(read(event))) event.preventDefault();
  };
  document.addEventListener('keydown', press);
  return () => document.removeEventListener('keydown', press);
}

/** Held for others: they end no pair. */
const MODIFIERS = ['Shift', 'Control', 'Alt', 'Meta'];

const isTyping = (target: EventTarget | null) =>
  target instanceof HTMLElement &&
  (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

/** Leads to the dashboards, ready to type what is sought. */
export const SEARCH_KEYS = 'mod+k';

/** The pages that keys lead to. */
export const PAGE_KEYS: Record<string, string> = {
  'g h': '/',
  'g d': '/dashboards',
  'g e': '/explore',
  'g a': '/alerts',
  'g s': '/silences',
  'g r': '/rules',
  'g t': '/targets',
  'g p': '/profile',
  [SEARCH_KEYS]: '/dashboards',
};

export interface KeyGroup {
  title: string;
  keys: [keys: string, does: string][];
}

/** What is told of keys. */
export const KEY_HELP: KeyGroup[] = [
  {
    title: 'Everywhere',
    keys: [
      ['g h', 'Home'],
      ['g d', 'Dashboards'],
      ['mod+k', 'Search for a dashboard'],
      ['g e', 'Explore'],
      ['g a', 'Alerts'],
      ['g s', 'Silences'],
      ['g r', 'Rules'],
      ['g t', 'Targets'],
      ['g p', 'Profile'],
      ['c t', 'Change the theme'],
      ['?', 'These keys'],
    ],
  },
  {
    title: 'Time',
    keys: [
      ['t z', 'Show twice the time'],
      ['t ArrowLeft', 'Go back'],
      ['t ArrowRight', 'Go forward'],
      ['t a', 'Hold the time: relative becomes absolute'],
      ['t c', 'Copy the time'],
      ['t v', 'Take the time that was copied'],
    ],
  },
  {
    title: 'Dashboard',
    keys: [
      ['d r', 'Ask all panels again'],
      ['d s', 'Settings'],
      ['d k', 'Kiosk'],
      ['d e', 'Open all rows'],
      ['d C', 'Close all rows'],
      ['d l', 'Show or hide all legends'],
      ['mod+o', 'Share crosshair, then tooltip, then neither'],
      ['mod+s', 'Save'],
      ['Escape', 'Leave kiosk and single panel'],
    ],
  },
  {
    title: 'Panel under the pointer or with the focus',
    keys: [
      ['v', 'Show alone'],
      ['e', 'Edit'],
      ['i', 'Inspect'],
      ['p x', 'Explore its queries'],
      ['p l', 'Show or hide its legend'],
      ['p d', 'Duplicate, while editing'],
      ['p r', 'Remove, while editing'],
    ],
  },
];
