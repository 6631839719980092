import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { Modal, useStyles2 } from '@grafana/ui';
import { KEY_HELP } from './keys';

/** What keys do. */
export default function KeyHelp({ onClose }: { onClose: () => void }) {
  const styles = useStyles2(getStyles);
  return (
    <Modal isOpen title="Keyboard shortcuts" onDismiss={onClose} className={styles.modal}>
      <div className={styles.groups}>
        {KEY_HELP.map(({ title, keys }) => (
          <table key={title} aria-label={title}>
            <caption>{title}</caption>
            <tbody>
              {keys.map(([pressed, does]) => (
                <tr key={pressed}>
                  <td>
                    {pressed.split(/[ +]/).map((key) => (
                      <kbd key={key}>{NAMES[key] ?? key}</kbd>
                    ))}
                  </td>
                  <td>{does}</td>
                </tr>
              ))}
            </tbody>
          </table>
        ))}
      </div>
    </Modal>
  );
}

const isMac = navigator.userAgent.includes('Mac');
const NAMES: Record<string, string> = {
  mod: isMac ? '⌘' : 'Ctrl',
  ArrowLeft: '←',
  ArrowRight: '→',
  Escape: 'Esc',
};

const getStyles = (theme: GrafanaTheme2) => ({
  modal: css({ maxWidth: '95vw', width: 860 }),
  groups: css({
    alignItems: 'start',
    display: 'grid',
    gap: theme.spacing(3),
    gridTemplateColumns: 'repeat(auto-fit, minmax(300px, 1fr))',
    caption: {
      captionSide: 'top',
      color: theme.colors.text.primary,
      fontWeight: theme.typography.fontWeightMedium,
      textAlign: 'left',
    },
    td: { padding: theme.spacing(0.25, 1, 0.25, 0) },
    'td:first-child': { whiteSpace: 'nowrap', width: 110 },
    kbd: {
      background: theme.colors.background.secondary,
      border: `1px solid ${theme.colors.border.medium}`,
      borderRadius: theme.shape.radius.default,
      color: theme.colors.text.primary,
      marginRight: 4,
      padding: '0 6px',
    },
  }),
});
