import { may, session } from '~/api/session';
import { Page } from '~/app/Page';
import { PageTabs } from '~/app/PageTabs';
import { Defaults } from './Defaults';
import { Sources } from './Sources';
import { Users } from './Users';

/** Users, data sources and what holds for everybody. */
export default function Admin() {
  const tabs = [
    ...(may('admin') ? [{ name: 'users', label: 'Users', content: <Users /> }] : []),
    { name: 'sources', label: 'Data sources', content: <Sources /> },
    ...(may('admin') ? [{ name: 'defaults', label: 'Defaults', content: <Defaults /> }] : []),
  ];
  return (
    <Page title="Administration">
      {session().isKept ? <PageTabs tabs={tabs} /> : <p>This server keeps neither users nor data sources.</p>}
    </Page>
  );
}
