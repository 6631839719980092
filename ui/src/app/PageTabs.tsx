import { css } from '@emotion/css';
import { locationService } from '@grafana/runtime';
import { Tab, TabContent, TabsBar } from '@grafana/ui';
import type { ReactNode } from 'react';
import { useLocation } from 'react-router-dom';

export interface PageTab {
  name: string;
  label: string;
  content: ReactNode;
}

/** Parts of a page, of which the address says which one is shown. */
export function PageTabs({ tabs }: { tabs: PageTab[] }) {
  const { search } = useLocation();
  const asked = new URLSearchParams(search).get('tab');
  const active = tabs.find(({ name }) => name === asked) ?? tabs[0];
  return (
    <>
      <TabsBar>
        {tabs.map(({ name, label }) => (
          <Tab
            key={name}
            label={label}
            active={name === active?.name}
            // Nothing of what one part has in the address means anything to another.
            onChangeTab={() => locationService.push({ search: name === tabs[0]?.name ? '' : `?tab=${name}` })}
          />
        ))}
      </TabsBar>
      <TabContent className={CONTENT}>{active?.content}</TabContent>
    </>
  );
}

const CONTENT = css({ display: 'flex', flexDirection: 'column', gap: 16, paddingTop: 8 });
