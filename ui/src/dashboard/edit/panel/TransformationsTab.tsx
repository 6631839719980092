import { css } from '@emotion/css';
import { standardTransformersRegistry, type DataTransformerConfig, type GrafanaTheme2 } from '@grafana/data';
import { Badge, Button, FilterInput, IconButton, Stack, useStyles2 } from '@grafana/ui';
import { useState } from 'react';
import { moved, removedAt, replacedAt } from '../json';
import type { PanelPreview } from './preview';
import { TransformationFields } from './TransformationFields';
import { NEW_OPTIONS, described } from './transformations';

/** What is done with the answers before they are shown, one after the other. */
export function TransformationsTab({ preview }: { preview: PanelPreview }) {
  const { json } = preview.useState();
  const [isAdding, setAdding] = useState(false);
  const list = json.transformations ?? [];
  const set = (next: DataTransformerConfig[]) => preview.change({ transformations: next });
  if (isAdding || !list.length) {
    return (
      <Picker
        onPick={(id) => {
          set([...list, { id, options: structuredClone(NEW_OPTIONS[id] ?? {}) }]);
          setAdding(false);
        }}
        onCancel={list.length ? () => setAdding(false) : undefined}
      />
    );
  }
  return (
    <Stack direction="column" gap={1}>
      {list.map((transformation, at) => (
        <Row
          key={`${transformation.id}-${at}`}
          preview={preview}
          at={at}
          transformation={transformation}
          isLast={at === list.length - 1}
          onChange={(next) => set(replacedAt(list, at, next))}
          onMove={(to) => set(moved(list, at, to))}
          onRemove={() => set(removedAt(list, at))}
        />
      ))}
      <div>
        <Button variant="secondary" icon="plus" onClick={() => setAdding(true)}>
          Add another transformation
        </Button>
      </div>
    </Stack>
  );
}

interface RowProps {
  preview: PanelPreview;
  at: number;
  transformation: DataTransformerConfig;
  isLast: boolean;
  onChange: (transformation: DataTransformerConfig) => void;
  onMove: (to: number) => void;
  onRemove: () => void;
}

function Row({ preview, at, transformation, isLast, onChange, onMove, onRemove }: RowProps) {
  const styles = useStyles2(getStyles);
  const { id, disabled = false } = transformation;
  const { name } = described(id);
  const toggle = () => {
    const { disabled: _before, ...rest } = transformation;
    onChange(disabled ? rest : { ...rest, disabled: true });
  };
  return (
    <section className={styles.row} aria-label={`Transformation ${at + 1}: ${name}`}>
      <header className={styles.header}>
        <span className={styles.number}>{at + 1}</span>
        <strong className={styles.name}>{name}</strong>
        {disabled && <Badge text="off" color="orange" />}
        <IconButton
          name="arrow-up"
          aria-label={`Move ${name} up`}
          disabled={at === 0}
          onClick={() => onMove(at - 1)}
        />
        <IconButton
          name="arrow-down"
          aria-label={`Move ${name} down`}
          disabled={isLast}
          onClick={() => onMove(at + 1)}
        />
        <IconButton
          name={disabled ? 'eye-slash' : 'eye'}
          aria-label={`Turn ${name} ${disabled ? 'on' : 'off'}`}
          onClick={toggle}
        />
        <IconButton name="trash-alt" aria-label={`Remove ${name}`} onClick={onRemove} />
      </header>
      <TransformationFields preview={preview} at={at} transformation={transformation} onChange={onChange} />
    </section>
  );
}

function Picker({ onPick, onCancel }: { onPick: (id: string) => void; onCancel: (() => void) | undefined }) {
  const styles = useStyles2(getStyles);
  const [search, setSearch] = useState('');
  const needle = search.toLowerCase();
  const found = standardTransformersRegistry
    .list()
    .map(({ id }) => ({ id, ...described(id) }))
    .filter(({ isOffered, name, about }) => isOffered && `${name} ${about}`.toLowerCase().includes(needle))
    .sort((a, b) => a.name.localeCompare(b.name));
  return (
    <Stack direction="column" gap={2}>
      <Stack>
        <FilterInput
          placeholder="Search transformations"
          value={search}
          onChange={setSearch}
          escapeRegex={false}
        />
        {onCancel && (
          <Button variant="secondary" onClick={onCancel}>
            Cancel
          </Button>
        )}
      </Stack>
      <div className={styles.cards}>
        {found.map(({ id, name, about }) => (
          <button key={id} type="button" className={styles.card} onClick={() => onPick(id)}>
            <strong>{name}</strong>
            <small>{about}</small>
          </button>
        ))}
      </div>
    </Stack>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  row: css({
    background: theme.colors.background.secondary,
    borderRadius: theme.shape.radius.default,
    padding: theme.spacing(1),
  }),
  header: css({
    alignItems: 'center',
    display: 'flex',
    gap: theme.spacing(1),
    marginBottom: theme.spacing(1),
  }),
  number: css({ color: theme.colors.text.secondary }),
  name: css({ flex: '1 1 auto', fontWeight: 500 }),
  cards: css({
    display: 'grid',
    gap: theme.spacing(1),
    gridTemplateColumns: 'repeat(auto-fill, minmax(230px, 1fr))',
  }),
  card: css({
    background: theme.colors.background.secondary,
    border: '1px solid transparent',
    borderRadius: theme.shape.radius.default,
    display: 'flex',
    flexDirection: 'column',
    padding: theme.spacing(1, 1.5),
    textAlign: 'left',
    '& strong': { fontWeight: 500 },
    '& small': { color: theme.colors.text.secondary },
    '&:hover': { borderColor: theme.colors.border.strong },
  }),
});
