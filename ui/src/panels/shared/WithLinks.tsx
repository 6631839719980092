import type { FieldDisplay } from '@grafana/data';
import { DataLinksContextMenu, type DataLinksContextMenuApi } from '@grafana/ui';
import type { ReactElement } from 'react';

interface Props {
  value: FieldDisplay;
  children: (menu: DataLinksContextMenuApi) => ReactElement;
}

/** What is shown of a value, leading where its links lead. */
export function WithLinks({ value, children }: Props) {
  const { hasLinks, getLinks } = value;
  if (!hasLinks || !getLinks) return children({});
  return <DataLinksContextMenu links={() => getLinks()}>{children}</DataLinksContextMenu>;
}
