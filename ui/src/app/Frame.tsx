import { css, cx } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { locationService } from '@grafana/runtime';
import { Icon, IconButton, useStyles2, type IconName } from '@grafana/ui';
import { Suspense, lazy, useEffect, useState, type ReactNode } from 'react';
import { useLocation } from 'react-router-dom';
import { PREFIX } from '~/api/http';
import { profile } from '~/api/admin';
import { hasAllParts, logOut, may, session } from '~/api/session';
import { PAGE_KEYS, SEARCH_KEYS, followKeys } from './keys';
import { loadPreferences, savePreferences } from './preferences';

const KeyHelp = lazy(() => import('./KeyHelp'));

interface Entry {
  label: string;
  href: string;
  icon: IconName;
  /** Whether it is about the Alertmanager, which a server in Prometheus's seat has not. */
  isAlerting?: boolean;
}

const ENTRIES: Entry[] = [
  { label: 'Home', href: '/', icon: 'home-alt' },
  { label: 'Dashboards', href: '/dashboards', icon: 'apps' },
  { label: 'Explore', href: '/explore', icon: 'compass' },
  { label: 'Alerts', href: '/alerts', icon: 'bell' },
  { label: 'Silences', href: '/silences', icon: 'bell-slash', isAlerting: true },
  { label: 'Notifications', href: '/routing', icon: 'envelope', isAlerting: true },
  { label: 'Rules', href: '/rules', icon: 'list-ul' },
  { label: 'Targets', href: '/targets', icon: 'sitemap' },
  { label: 'Status', href: '/status', icon: 'info-circle' },
];
/** Where users and data sources are kept. */
const ADMINISTRATION: Entry = { label: 'Administration', href: '/admin', icon: 'shield' };

const entries = () => [
  ...ENTRIES.filter(({ isAlerting }) => !isAlerting || hasAllParts()),
  ...(session().isKept && may('editor') ? [ADMINISTRATION] : []),
];

/** What is around every page: where one can go, and how it looks. */
export function Frame({ children }: { children: ReactNode }) {
  const styles = useStyles2(getStyles);
  const location = useLocation();
  const [open, setOpen] = useState(false);
  const [showsKeys, setShowsKeys] = useState(false);
  useEffect(() => followKeys((keys) => act(keys, () => setShowsKeys(true))), []);
  const help = showsKeys && (
    <Suspense>
      <KeyHelp onClose={() => setShowsKeys(false)} />
    </Suspense>
  );
  const kiosk = new URLSearchParams(location.search).has('kiosk');
  if (kiosk)
    return (
      <main className={styles.main}>
        {children}
        {help}
      </main>
    );
  return (
    <div className={styles.frame}>
      <div className={styles.top}>
        <IconButton
          name="bars"
          size="lg"
          aria-label="Menu"
          aria-expanded={open}
          onClick={() => setOpen(!open)}
        />
        <a href="/" className={styles.name}>
          Bartizan
        </a>
      </div>
      <nav className={cx(styles.nav, open && styles.open)} aria-label="Pages">
        <a href="/" className={cx(styles.name, styles.brand)}>
          <Tower /> <span>Bartizan</span>
        </a>
        {entries().map((entry) => (
          <NavLink
            key={entry.href}
            entry={entry}
            active={isActive(location.pathname, entry.href)}
            onClick={() => setOpen(false)}
          />
        ))}
        <div className={styles.spacer} />
        <button type="button" className={styles.entry} onClick={() => setShowsKeys(true)}>
          <Icon name="keyboard" size="lg" />
          <span>Keys</span>
        </button>
        <ThemeButton />
        <Account />
      </nav>
      <main className={styles.main}>{children}</main>
      {help}
    </div>
  );
}

/** What keys do on every page. */
function act(keys: string, showKeys: () => void): boolean {
  const page = PAGE_KEYS[keys];
  if (keys === SEARCH_KEYS) locationService.push({ pathname: page ?? '/', state: { isSearch: true } });
  else if (page) locationService.push(page);
  else if (keys === '?') showKeys();
  else if (keys === 'c t') void changeTheme();
  else return false;
  return true;
}

const otherTheme = () => (loadPreferences().theme === 'dark' ? 'light' : 'dark');

async function changeTheme(): Promise<void> {
  const other = otherTheme();
  savePreferences({ theme: other });
  // Of a user the server knows it, too, and would have it back otherwise.
  if (session().user) await keepTheme(other).catch(() => undefined);
  window.location.reload();
}

function isActive(path: string, href: string): boolean {
  if (href === '/') return path === '/';
  return path === href || path.startsWith(`${href}/`) || (href === '/dashboards' && path.startsWith('/d/'));
}

function NavLink({
  entry: { label, href, icon },
  active,
  onClick,
}: {
  entry: Entry;
  active: boolean;
  onClick: () => void;
}) {
  const styles = useStyles2(getStyles);
  return (
    <a
      href={href}
      className={cx(styles.entry, active && styles.active)}
      aria-current={active ? 'page' : undefined}
      onClick={onClick}
    >
      <Icon name={icon} size="lg" />
      <span>{label}</span>
    </a>
  );
}

function ThemeButton() {
  const styles = useStyles2(getStyles);
  return (
    <button type="button" className={styles.entry} onClick={() => void changeTheme()}>
      <Icon name="adjust-circle" size="lg" />
      <span>{otherTheme() === 'dark' ? 'Dark' : 'Light'} theme</span>
    </button>
  );
}

const keepTheme = async (theme: 'dark' | 'light') =>
  profile.setPreferences({ ...(await profile.preferences()), theme });

/** Who has logged in, and the way in and out. */
function Account() {
  const styles = useStyles2(getStyles);
  const { isKept, user } = session();
  if (!isKept) return null;
  if (!user) {
    return (
      <a href="/login" className={styles.entry}>
        <Icon name="signin" size="lg" />
        <span>Log in</span>
      </a>
    );
  }
  const leave = async () => {
    await logOut();
    window.location.assign(`${PREFIX}/`);
  };
  return (
    <>
      <a href="/profile" className={styles.entry}>
        <Icon name="user" size="lg" />
        <span>Profile</span>
      </a>
      <button type="button" className={styles.entry} onClick={() => void leave()}>
        <Icon name="signout" size="lg" />
        <span>Log out {user.login}</span>
      </button>
    </>
  );
}

/** The turret, seen from its side. */
function Tower() {
  return (
    <svg width="22" height="22" viewBox="0 0 24 24" aria-hidden="true">
      <path d="M5 3h3v2h2.5V3h3v2H16V3h3v7l-2 2v5l-5 4-5-4v-5L5 10z" fill="#f2a33a" />
      <path d="M11 9h2v4h-2z" fill="#1b1d22" />
    </svg>
  );
}

const WIDTH = 184;
const PHONE = '@media (max-width: 768px)';

const getStyles = (theme: GrafanaTheme2) => ({
  frame: css({ display: 'flex', minHeight: '100vh', [PHONE]: { flexDirection: 'column' } }),
  top: css({
    alignItems: 'center',
    display: 'none',
    gap: theme.spacing(1),
    padding: theme.spacing(1, 2),
    [PHONE]: { display: 'flex' },
  }),
  nav: css({
    background: theme.colors.background.primary,
    borderRight: `1px solid ${theme.colors.border.weak}`,
    display: 'flex',
    flex: `0 0 ${WIDTH}px`,
    flexDirection: 'column',
    gap: 2,
    height: '100vh',
    padding: theme.spacing(1),
    position: 'sticky',
    top: 0,
    [PHONE]: { display: 'none', height: 'auto' },
  }),
  open: css({ [PHONE]: { display: 'flex' } }),
  name: css({ color: theme.colors.text.primary, fontSize: theme.typography.h4.fontSize, fontWeight: 500 }),
  brand: css({
    alignItems: 'center',
    display: 'flex',
    gap: theme.spacing(1),
    padding: theme.spacing(1, 1, 2),
  }),
  entry: css({
    alignItems: 'center',
    background: 'none',
    border: 0,
    borderRadius: theme.shape.radius.default,
    color: theme.colors.text.secondary,
    display: 'flex',
    gap: theme.spacing(1.5),
    padding: theme.spacing(1),
    textAlign: 'left',
    '&:hover': { background: theme.colors.action.hover, color: theme.colors.text.primary },
  }),
  active: css({ background: theme.colors.action.selected, color: theme.colors.text.primary }),
  spacer: css({ flex: '1 1 auto' }),
  main: css({ display: 'flex', flex: '1 1 auto', flexDirection: 'column', minWidth: 0 }),
});
