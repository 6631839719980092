import { css, cx } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { FilterInput, Icon, useStyles2 } from '@grafana/ui';
import { useState } from 'react';
import { PANEL_EDITING } from '~/panels/editors';

interface Props {
  type: string;
  isOpen: boolean;
  onOpen: (isOpen: boolean) => void;
  onPick: (type: string) => void;
}

/** Chooses how data is shown. */
export function VizPicker({ type, isOpen, onOpen, onPick }: Props) {
  const styles = useStyles2(getStyles);
  const [search, setSearch] = useState('');
  const { name, icon } = PANEL_EDITING[type] ?? { name: type, icon: 'question-circle' as const };
  const needle = search.toLowerCase();
  const found = Object.entries(PANEL_EDITING).filter(([, each]) =>
    `${each.name} ${each.about}`.toLowerCase().includes(needle),
  );
  return (
    <div className={cx(styles.picker, isOpen && styles.open)}>
      <button
        type="button"
        className={styles.current}
        aria-label={`Visualization: ${name}`}
        aria-expanded={isOpen}
        onClick={() => onOpen(!isOpen)}
      >
        <Icon name={icon} size="lg" />
        <span className={styles.name}>{name}</span>
        <Icon name={isOpen ? 'angle-up' : 'angle-down'} />
      </button>
      {isOpen && (
        <>
          <div className={styles.search}>
            <FilterInput placeholder="Search" value={search} onChange={setSearch} escapeRegex={false} />
          </div>
          <div className={styles.list} role="listbox" aria-label="Visualizations">
            {found.map(([id, each]) => (
              <button
                key={id}
                type="button"
                role="option"
                aria-selected={id === type}
                aria-label={each.name}
                className={cx(styles.card, id === type && styles.chosen)}
                onClick={() => {
                  onPick(id);
                  onOpen(false);
                }}
              >
                <Icon name={each.icon} size="xl" />
                <span>
                  <strong>{each.name}</strong>
                  <br />
                  <small>{each.about}</small>
                </span>
              </button>
            ))}
          </div>
        </>
      )}
    </div>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  picker: css({ display: 'flex', flexDirection: 'column', gap: theme.spacing(1), padding: theme.spacing(1) }),
  open: css({ flex: '1 1 auto', minHeight: 0 }),
  current: css({
    alignItems: 'center',
    background: theme.colors.secondary.main,
    border: `1px solid ${theme.colors.border.weak}`,
    borderRadius: theme.shape.radius.default,
    display: 'flex',
    gap: theme.spacing(1),
    padding: theme.spacing(1),
    '&:hover': { background: theme.colors.secondary.shade },
  }),
  search: css({ flex: '0 0 auto' }),
  name: css({ flex: '1 1 auto', fontWeight: 500, textAlign: 'left' }),
  list: css({
    display: 'flex',
    flexDirection: 'column',
    gap: theme.spacing(0.5),
    minHeight: 0,
    overflow: 'auto',
  }),
  card: css({
    alignItems: 'center',
    background: theme.colors.background.secondary,
    border: '1px solid transparent',
    borderRadius: theme.shape.radius.default,
    display: 'flex',
    gap: theme.spacing(1.5),
    padding: theme.spacing(1, 1.5),
    textAlign: 'left',
    '& strong': { fontWeight: 500 },
    '& small': { color: theme.colors.text.secondary },
    '&:hover': { borderColor: theme.colors.border.strong },
  }),
  chosen: css({ borderColor: theme.colors.primary.border }),
});
