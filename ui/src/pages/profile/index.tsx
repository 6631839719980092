import { css } from '@emotion/css';
import { Badge, TextLink } from '@grafana/ui';
import { useState } from 'react';
import { PREFIX } from '~/api/http';
import { profile } from '~/api/admin';
import { session } from '~/api/session';
import { Page } from '~/app/Page';
import { LoginSessions } from '../admin/LoginSessions';
import { PasswordForm } from '../admin/PasswordForm';
import { PreferencesForm } from './PreferencesForm';

/** Who is looking, what they like, their password and where they are logged in. */
export default function Profile() {
  const { user } = session();
  const [wants, setWants] = useState(false);
  if (!user) {
    return (
      <Page title="Profile">
        <p>
          <TextLink href="/login?to=%2Fprofile">Log in</TextLink> to have preferences of your own.
        </p>
      </Page>
    );
  }
  return (
    <Page title="Profile">
      <p className={ABOUT}>
        <strong>{user.name || user.login}</strong> ({user.login}) <Badge text={user.role} color="blue" />
      </p>
      <section aria-label="Preferences">
        <h2 className={HEADING}>Preferences</h2>
        <PreferencesForm
          load={profile.preferences}
          save={async (preferences) => {
            await profile.setPreferences(preferences);
            // What is drawn already does not change its colours or times.
            window.location.reload();
          }}
        />
      </section>
      <section aria-label="Password">
        <h2 className={HEADING}>Password</h2>
        <p>All your sessions end, and you log in with the new one.</p>
        <PasswordForm
          asksOld
          onSubmit={(password, old) => profile.changePassword(old, password)}
          onDone={() => window.location.assign(`${PREFIX}/login`)}
        />
      </section>
      <section aria-label="Sessions">
        <h2 className={HEADING}>Where you are logged in</h2>
        <LoginSessions
          key={String(wants)}
          load={profile.sessions}
          end={() => profile.endOtherSessions().then(() => setWants(!wants))}
          ending="End all others"
        />
      </section>
    </Page>
  );
}

const ABOUT = css({ alignItems: 'center', display: 'flex', gap: 8 });
const HEADING = css({ fontSize: 18 });
