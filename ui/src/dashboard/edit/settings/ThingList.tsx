import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { Button, EmptyState, IconButton, useStyles2 } from '@grafana/ui';
import type { ReactNode } from 'react';

interface Props {
  /** What one of them is called. */
  what: string;
  /** What they are for, shown while there is none. */
  about: string;
  things: { name: string; detail: string; badge?: ReactNode }[];
  onAdd: () => void;
  onOpen: (at: number) => void;
  onMove: (from: number, to: number) => void;
  onDuplicate: (at: number) => void;
  onRemove: (at: number) => void;
}

/** Variables, annotations or links, in their order. */
export function ThingList({ what, about, things, onAdd, onOpen, onMove, onDuplicate, onRemove }: Props) {
  const styles = useStyles2(getStyles);
  const add = (
    <Button icon="plus" onClick={onAdd}>
      Add {what}
    </Button>
  );
  if (!things.length) {
    return (
      <EmptyState variant="call-to-action" hideImage message={`There is no ${what} yet`} button={add}>
        {about}
      </EmptyState>
    );
  }
  return (
    <>
      <ul className={styles.list}>
        {things.map(({ name, detail, badge }, at) => (
          <li key={`${name}-${at}`} className={styles.thing}>
            <button type="button" className={styles.name} onClick={() => onOpen(at)}>
              {name}
            </button>
            {badge}
            <span className={styles.detail}>{detail}</span>
            <IconButton
              name="arrow-up"
              aria-label={`Move ${name} up`}
              disabled={at === 0}
              onClick={() => onMove(at, at - 1)}
            />
            <IconButton
              name="arrow-down"
              aria-label={`Move ${name} down`}
              disabled={at === things.length - 1}
              onClick={() => onMove(at, at + 1)}
            />
            <IconButton name="copy" aria-label={`Duplicate ${name}`} onClick={() => onDuplicate(at)} />
            <IconButton name="trash-alt" aria-label={`Remove ${name}`} onClick={() => onRemove(at)} />
          </li>
        ))}
      </ul>
      {add}
    </>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  list: css({ listStyle: 'none', margin: theme.spacing(0, 0, 2), padding: 0 }),
  thing: css({
    alignItems: 'center',
    background: theme.colors.background.secondary,
    borderRadius: theme.shape.radius.default,
    display: 'flex',
    gap: theme.spacing(1.5),
    marginBottom: theme.spacing(0.5),
    padding: theme.spacing(1, 1.5),
  }),
  name: css({
    background: 'none',
    border: 0,
    color: theme.colors.text.link,
    fontFamily: theme.typography.fontFamilyMonospace,
    padding: 0,
    '&:hover': { textDecoration: 'underline' },
  }),
  detail: css({
    color: theme.colors.text.secondary,
    flex: '1 1 auto',
    minWidth: 0,
    overflow: 'hidden',
    textOverflow: 'ellipsis',
    whiteSpace: 'nowrap',
  }),
});
