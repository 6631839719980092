import { css, cx } from '@emotion/css';
import type { GrafanaTheme2 } from '@grafana/data';
import { Badge, Icon, useStyles2 } from '@grafana/ui';
import type { RouteNode } from '~/api/routing';
import { Code } from '~/app/Code';
import { count } from '~/app/format';
import { period } from './way';

interface Props {
  route: RouteNode;
  /** Ids of routes that what is tested ends at. */
  taken: Set<string>;
  /** Those and the ones above them. */
  way: Set<string>;
  isTesting: boolean;
}

/** A route and what is below it. */
export function RouteBox({ route, taken, way, isTesting }: Props) {
  const styles = useStyles2(getStyles);
  const isTaken = taken.has(route.id);
  const style = cx(
    styles.box,
    isTaken && styles.taken,
    isTesting && !way.has(route.id) && styles.apart,
    way.has(route.id) && styles.way,
  );
  return (
    <li className={styles.item}>
      <div className={style} aria-current={isTaken ? 'true' : undefined}>
        <div className={styles.row}>
          {isTaken && <Icon name="check-circle" title="Goes here" />}
          {route.matchers.length ? (
            route.matchers.map((matcher) => <Code key={matcher}>{matcher}</Code>)
          ) : (
            <em>all alerts</em>
          )}
          <Icon name="arrow-right" />
          <Badge text={route.receiver} color="blue" icon="bell" />
          {route.continues && <Badge text="continues" color="purple" />}
          {route.alerts > 0 && (
            <span className={styles.weak}>
              {count(route.alerts)} {route.alerts === 1 ? 'alert' : 'alerts'} in {count(route.groups)}{' '}
              {route.groups === 1 ? 'group' : 'groups'}
            </span>
          )}
        </div>
        <div className={styles.weak}>
          grouped by {route.groupsByAll ? 'all labels' : route.groupBy.join(', ') || 'nothing'}; waits{' '}
          {period(route.groupWaitSeconds)}, then {period(route.groupIntervalSeconds)}, repeats after{' '}
          {period(route.repeatIntervalSeconds)}
        </div>
        {route.muteTimeIntervals.length > 0 && (
          <div className={styles.weak}>silent during {route.muteTimeIntervals.join(', ')}</div>
        )}
        {route.activeTimeIntervals.length > 0 && (
          <div className={styles.weak}>only during {route.activeTimeIntervals.join(', ')}</div>
        )}
      </div>
      {route.routes.length > 0 && (
        <ul className={styles.below}>
          {route.routes.map((child) => (
            <RouteBox key={child.id} route={child} taken={taken} way={way} isTesting={isTesting} />
          ))}
        </ul>
      )}
    </li>
  );
}

const getStyles = (theme: GrafanaTheme2) => {
  const line = `1px solid ${theme.colors.border.strong}`;
  return {
    item: css({
      position: 'relative',
      // The branch from the trunk of those above.
      'ul > &::before': {
        borderBottom: line,
        content: '""',
        left: -16,
        position: 'absolute',
        top: 20,
        width: 16,
      },
    }),
    box: css({
      background: theme.colors.background.primary,
      border: `1px solid ${theme.colors.border.weak}`,
      borderRadius: theme.shape.radius.default,
      marginBottom: theme.spacing(1),
      padding: theme.spacing(1),
    }),
    way: css({ borderColor: theme.colors.primary.border }),
    taken: css({ borderColor: theme.colors.success.border, borderWidth: 2 }),
    // Still to be read: what is not the way only stands back.
    apart: css({ borderStyle: 'dashed' }),
    row: css({ alignItems: 'center', display: 'flex', flexWrap: 'wrap', gap: theme.spacing(0.75) }),
    weak: css({ color: theme.colors.text.secondary, fontSize: theme.typography.bodySmall.fontSize }),
    below: css({ borderLeft: line, listStyle: 'none', marginLeft: 14, paddingLeft: 16 }),
  };
};
