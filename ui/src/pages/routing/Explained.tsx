import { css } from '@emotion/css';
import { Badge, TextLink } from '@grafana/ui';
import type { Explanation } from '~/api/routing';
import { Code } from '~/app/Code';
import { LabelList } from '~/app/LabelList';
import { time } from '~/app/format';

/** Why an alert is told, or is not. */
export function Explained({ explanation }: { explanation: Explanation }) {
  const { labels, isKnown, isFiring, silencedBy, inhibitedBy, routes } = explanation;
  const state = !isKnown ? 'nobody sent such an alert' : isFiring ? 'firing' : 'resolved';
  return (
    <article className={ARTICLE}>
      <p>
        <Badge text={state} color={isKnown && isFiring ? 'red' : 'blue'} /> <LabelList labels={labels} />
      </p>
      {silencedBy.map((id) => (
        <p key={id}>
          Silenced by <TextLink href={`/silences#${id}`}>{id}</TextLink>
        </p>
      ))}
      {inhibitedBy && (
        <p>
          Inhibited by rule <Code>{inhibitedBy.rule}</Code>
        </p>
      )}
      {routes.map((route) => (
        <section key={route.route} aria-label={`Route to ${route.receiver}`}>
          <h3 className={HEADING}>
            To <strong>{route.receiver}</strong>, in the group <Code>{route.groupKey}</Code>
          </h3>
          <ul className={LIST}>
            {route.notTaken.map(({ route: other, matcher }) => (
              <li key={other}>
                <Code>{other}</Code> does not take it: <Code>{matcher}</Code> does not hold
              </li>
            ))}
            {route.mutedBy.length > 0 && <li>Muted now by {route.mutedBy.join(', ')}</li>}
            {route.nextLook && <li>The group is looked at next at {time(route.nextLook)}</li>}
            {route.told.map((told) => (
              <li key={told.integration}>
                {told.integration}:{' '}
                {told.toldAt
                  ? `told at ${time(told.toldAt)} of ${told.firing} firing and ${told.resolved} resolved${told.repeatsAfter ? `, again after ${time(told.repeatsAfter)}` : ''}`
                  : 'has not been told'}
              </li>
            ))}
            {route.underWay.map(({ integration, attempt, isSending, lastError }) => (
              <li key={integration}>
                {integration}: attempt {attempt} {isSending ? 'is under way' : 'waits'}
                {lastError && ` (${lastError})`}
              </li>
            ))}
            {route.attempts.slice(-5).map(({ at, integration, reason, error }) => (
              <li key={`${at} ${integration}`}>
                {time(at)} {integration}: {error ?? 'accepted'} ({reason})
              </li>
            ))}
          </ul>
        </section>
      ))}
    </article>
  );
}

const ARTICLE = css({ overflowWrap: 'anywhere' });
const HEADING = css({ fontSize: 14, lineHeight: 1.6 });
const LIST = css({ paddingLeft: 20 });
