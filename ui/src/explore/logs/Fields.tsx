import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { Alert, Button, IconButton, useStyles2 } from '@grafana/ui';
import { useCallback, useState } from 'react';
import type { LokiClient } from '~/api/loki';
import { count } from '~/app/format';
import { useLoad } from '~/app/useLoad';
import type { PaneScene } from '../scene';
import type { ExploreQuery } from '../url';
import type { LabelTold } from './query';

interface Props {
  scene: PaneScene;
  client: LokiClient;
  queries: ExploreQuery[];
  columns: string[];
  onColumn: (name: string) => void;
  onLabel: LabelTold;
}

/** What parsers find in the lines, and how many values each field has. */
export function Fields({ scene, client, queries, columns, onColumn, onLabel }: Props) {
  const styles = useStyles2(getStyles);
  const [open, setOpen] = useState<string>();
  const expr = queries[0]?.expr ?? '';
  const load = useCallback(
    () => (expr ? client.fields(expr, scene.range()) : Promise.resolve([])),
    [client, expr, scene],
  );
  const { value: fields, error, loading } = useLoad(load);
  if (error) return <Alert severity="error" title={error.message} />;
  if (!loading && !fields?.length) return <p className={styles.note}>No fields were found in these lines.</p>;
  return (
    <div className={styles.scroller} role="region" aria-label="Fields" tabIndex={0}>
      <table className={styles.table} aria-label="Fields of lines">
        <thead>
          <tr>
            <th scope="col">Field</th>
            <th scope="col">Type</th>
            <th scope="col">Found by</th>
            <th scope="col">Values</th>
            <th scope="col" aria-label="Actions" />
          </tr>
        </thead>
        <tbody>
          {[...(fields ?? [])]
            .sort((a, b) => b.cardinality - a.cardinality)
            .map(({ label, type, cardinality, parsers }) => (
              <tr key={label}>
                <td className={styles.name}>
                  {label}
                  {open === label && (
                    <Values
                      name={label}
                      parser={parsers?.[0]}
                      expr={expr}
                      client={client}
                      scene={scene}
                      onLabel={onLabel}
                    />
                  )}
                </td>
                <td>{type}</td>
                <td>{parsers?.join(', ') ?? 'beside the line'}</td>
                <td className={styles.number}>{count(cardinality)}</td>
                <td className={styles.actions}>
                  <Button
                    size="sm"
                    variant="secondary"
                    fill="text"
                    aria-expanded={open === label}
                    onClick={() => setOpen(open === label ? undefined : label)}
                  >
                    Values
                  </Button>
                  <IconButton
                    name="eye"
                    variant={columns.includes(label) ? 'primary' : 'secondary'}
                    aria-pressed={columns.includes(label)}
                    aria-label={`Show ${label} with each line`}
                    onClick={() => onColumn(label)}
                  />
                </td>
              </tr>
            ))}
        </tbody>
      </table>
    </div>
  );
}

interface ValuesProps extends Pick<Props, 'scene' | 'client' | 'onLabel'> {
  name: string;
  parser: string | undefined;
  expr: string;
}

function Values({ name, parser, expr, client, scene, onLabel }: ValuesProps) {
  const styles = useStyles2(getStyles);
  const load = useCallback(() => client.fieldValues(name, expr, scene.range()), [client, name, expr, scene]);
  const { value: values, error, loading } = useLoad(load);
  if (loading || error) return <div className={styles.note}>{error?.message ?? 'Loading'}</div>;
  return (
    <ul className={styles.values}>
      {values?.map((value) => (
        <li key={value}>
          <IconButton
            name="search-plus"
            size="sm"
            aria-label={`Only lines with ${name}=${value}`}
            onClick={() => onLabel(name, value, '=', { parser })}
          />
          <IconButton
            name="search-minus"
            size="sm"
            aria-label={`Only lines without ${name}=${value}`}
            onClick={() => onLabel(name, value, '!=', { parser })}
          />
          {value}
        </li>
      ))}
    </ul>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  scroller: css({
    background: theme.colors.background.primary,
    border: `1px solid ${theme.colors.border.weak}`,
    maxHeight: '60vh',
    overflow: 'auto',
  }),
  table: css({
    borderCollapse: 'collapse',
    width: '100%',
    'th, td': {
      borderBottom: `1px solid ${theme.colors.border.weak}`,
      padding: theme.spacing(0.5, 1),
      textAlign: 'left',
      verticalAlign: 'top',
    },
    th: { color: theme.colors.text.secondary, fontWeight: 400 },
    'tbody tr:hover': { background: theme.colors.action.hover },
  }),
  name: css({ fontFamily: theme.typography.fontFamilyMonospace, overflowWrap: 'anywhere' }),
  number: css({ fontVariantNumeric: 'tabular-nums' }),
  actions: css({ whiteSpace: 'nowrap' }),
  values: css({
    listStyle: 'none',
    margin: theme.spacing(0.5, 0),
    maxHeight: 240,
    overflowY: 'auto',
    li: { overflowWrap: 'anywhere' },
  }),
  note: css({ color: theme.colors.text.secondary, padding: theme.spacing(1) }),
});
