import { hasAllParts } from '~/api/session';
import { Page } from '~/app/Page';
import { PageTabs } from '~/app/PageTabs';
import { Blocks } from './Blocks';
import { Cardinality } from './Cardinality';
import { Config } from './Config';
import { Load } from './Load';
import { LogStore } from './LogStore';
import { Flags, Server } from './Pairs';
import { Series } from './Series';

/** What this server is, how it was started, what it holds and what it is doing. */
export default function Status() {
  return (
    <Page title="Status">
      <PageTabs
        tabs={[
          { name: 'server', label: 'Server', content: <Server /> },
          { name: 'load', label: 'Load', content: <Load /> },
          { name: 'cardinality', label: 'Cardinality', content: <Cardinality /> },
          { name: 'tsdb', label: 'Series in memory', content: <Series /> },
          { name: 'blocks', label: 'Blocks', content: <Blocks /> },
          ...(hasAllParts() ? [{ name: 'logs', label: 'Logs', content: <LogStore /> }] : []),
          { name: 'flags', label: 'Flags', content: <Flags /> },
          { name: 'config', label: 'Configuration', content: <Config /> },
        ]}
      />
    </Page>
  );
}
