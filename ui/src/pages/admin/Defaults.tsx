import { everybody } from '~/api/admin';
import { PreferencesForm } from '../profile/PreferencesForm';

/** What holds for who has set nothing. */
export function Defaults() {
  return (
    <>
      <p>For everybody who has not chosen otherwise.</p>
      <PreferencesForm load={everybody.preferences} save={everybody.setPreferences} />
    </>
  );
}
