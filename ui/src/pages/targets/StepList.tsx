import { css, cx } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { Badge, useStyles2, type BadgeColor } from '@grafana/ui';
import { Code } from '~/app/Code';
import type { Change, ExplainedStep } from './steps';

const OUTCOMES: Record<ExplainedStep['outcome'], { text: string; color: BadgeColor }> = {
  changed: { text: 'changed', color: 'green' },
  unchanged: { text: 'no change', color: 'blue' },
  dropped: { text: 'dropped here', color: 'red' },
  unreached: { text: 'not reached', color: 'purple' },
};

/** The rules in order, each with what it did. */
export function StepList({ steps }: { steps: ExplainedStep[] }) {
  const styles = useStyles2(getStyles);
  if (!steps.length) return <p>This job has no such rules.</p>;
  return (
    <ol className={styles.list} aria-label="Rules">
      {steps.map((step, index) => (
        <li key={index} className={cx(styles.step, step.outcome === 'dropped' && styles.dropping)}>
          <div className={styles.head}>
            <span className={styles.number}>{index + 1}</span>
            <Badge {...OUTCOMES[step.outcome]} />
            <strong>{step.rule.action}</strong>
            <span>{step.said}</span>
          </div>
          {step.outcome !== 'unreached' && (
            <>
              {step.compared !== undefined && (
                <div className={styles.compared}>
                  compared: <Code>{step.compared === '' ? '(empty)' : step.compared}</Code>
                </div>
              )}
              {step.changes.map((change) => (
                <ChangeLine key={change.name} change={change} />
              ))}
            </>
          )}
        </li>
      ))}
    </ol>
  );
}

function ChangeLine({ change: { name, before, after } }: { change: Change }) {
  const styles = useStyles2(getStyles);
  return (
    <div className={styles.detail}>
      {before !== undefined && (
        <del className={styles.removed}>
          - {name}=&quot;{before}&quot;
        </del>
      )}
      {after !== undefined && (
        <ins className={styles.added}>
          + {name}=&quot;{after}&quot;
        </ins>
      )}
    </div>
  );
}

const getStyles = (theme: GrafanaTheme2) => {
  const code = {
    fontFamily: theme.typography.fontFamilyMonospace,
    overflowWrap: 'anywhere' as const,
    textDecoration: 'none',
  };
  return {
    list: css({ display: 'flex', flexDirection: 'column', gap: theme.spacing(1), listStyle: 'none' }),
    step: css({
      background: theme.colors.background.primary,
      border: `1px solid ${theme.colors.border.weak}`,
      borderRadius: theme.shape.radius.default,
      padding: theme.spacing(1, 1.5),
    }),
    dropping: css({ borderColor: theme.colors.error.border }),
    head: css({ alignItems: 'center', display: 'flex', flexWrap: 'wrap', gap: theme.spacing(1) }),
    number: css({ color: theme.colors.text.secondary, minWidth: 20 }),
    detail: css({ display: 'flex', flexDirection: 'column', paddingLeft: 28, paddingTop: 4 }),
    compared: css({ overflowWrap: 'anywhere', paddingLeft: 28, paddingTop: 4 }),
    removed: css({ ...code, color: theme.colors.error.text }),
    added: css({ ...code, color: theme.colors.success.text }),
  };
};
