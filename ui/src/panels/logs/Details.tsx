import { css } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { Button, ClipboardButton, IconButton, useStyles2 } from '@grafana/ui';
import type { LogLine } from './lines';
import type { LineActions } from './Row';

interface Props {
  line: LogLine;
  time: string;
  actions: LineActions;
  columns: string[];
}

/** Where labels come from, in the order in which they are shown. */
const GROUPS: [kind: string, title: string][] = [
  ['P', 'Parsed from the line'],
  ['S', 'Structured metadata'],
  ['I', 'Labels of the stream'],
  ['', 'Labels'],
];

/** All that is known of a line, and what can be done with it. */
export function Details({ line, time, actions, columns }: Props) {
  const styles = useStyles2(getStyles);
  const { onContext } = actions;
  return (
    <div className={styles.details}>
      <div className={styles.buttons}>
        <ClipboardButton size="sm" variant="secondary" fill="outline" icon="copy" getText={() => line.line}>
          Copy line
        </ClipboardButton>
        {onContext && (
          <Button size="sm" variant="secondary" fill="outline" icon="list-ul" onClick={() => onContext(line)}>
            Show context
          </Button>
        )}
        <span className={styles.time}>
          {time} ({line.timeNs} ns)
        </span>
      </div>
      {GROUPS.map(([kind, title]) => {
        const entries = Object.entries(line.labels).filter(([name]) => (line.kinds[name] ?? '') === kind);
        if (!entries.length) return null;
        return (
          <table key={kind} className={styles.table}>
            <caption>{title}</caption>
            <tbody>
              {entries.map(([name, value]) => (
                <Field key={name} name={name} value={value} actions={actions} columns={columns} />
              ))}
            </tbody>
          </table>
        );
      })}
    </div>
  );
}

interface FieldProps {
  name: string;
  value: string;
  actions: LineActions;
  columns: string[];
}

function Field({ name, value, actions: { onLabel, onColumn }, columns }: FieldProps) {
  const styles = useStyles2(getStyles);
  const isColumn = columns.includes(name);
  return (
    <tr>
      <td className={styles.actions}>
        {onLabel && (
          <>
            <IconButton
              name="search-plus"
              size="sm"
              aria-label={`Only lines with ${name}=${value}`}
              onClick={() => onLabel(name, value, '=')}
            />
            <IconButton
              name="search-minus"
              size="sm"
              aria-label={`Only lines without ${name}=${value}`}
              onClick={() => onLabel(name, value, '!=')}
            />
          </>
        )}
        {onColumn && (
          <IconButton
            name="eye"
            size="sm"
            variant={isColumn ? 'primary' : 'secondary'}
            aria-pressed={isColumn}
            aria-label={isColumn ? `Hide ${name}` : `Show ${name} with each line`}
            onClick={() => onColumn(name)}
          />
        )}
      </td>
      <th scope="row" className={styles.name}>
        {name}
      </th>
      <td className={styles.value}>{value}</td>
    </tr>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  details: css({
    background: theme.colors.background.secondary,
    borderLeft: `3px solid ${theme.colors.border.medium}`,
    marginLeft: 25,
    padding: theme.spacing(1, 2),
    whiteSpace: 'normal',
  }),
  buttons: css({ alignItems: 'center', display: 'flex', flexWrap: 'wrap', gap: theme.spacing(1) }),
  time: css({ color: theme.colors.text.secondary }),
  table: css({
    marginTop: theme.spacing(1),
    width: '100%',
    caption: {
      captionSide: 'top',
      color: theme.colors.text.secondary,
      fontFamily: theme.typography.fontFamily,
      padding: 0,
      textAlign: 'left',
    },
    'tr:hover': { background: theme.colors.action.hover },
  }),
  actions: css({
    verticalAlign: 'top',
    whiteSpace: 'nowrap',
    width: 84,
    button: { opacity: '1 !important' },
  }),
  name: css({
    color: theme.colors.text.secondary,
    fontWeight: 400,
    padding: '2px 12px',
    textAlign: 'left',
    minWidth: 150,
    verticalAlign: 'top',
    width: 1,
    whiteSpace: 'nowrap',
  }),
  value: css({ overflowWrap: 'anywhere' }),
});
