import { Dropdown, IconButton, Menu } from '@grafana/ui';
import { download } from '~/dashboard/download';
import type { LogLine } from '~/panels/logs/lines';
import { asCsv, asJson, asText } from './export';

/** Takes the lines shown along, as a file. */
export function Download({ lines }: { lines: LogLine[] }) {
  const name = `logs-${new Date().toISOString().slice(0, 19).replaceAll(':', '-')}`;
  const menu = (
    <Menu>
      <Menu.Item label="Text" onClick={() => download(`${name}.txt`, asText(lines), 'text/plain')} />
      <Menu.Item label="JSON" onClick={() => download(`${name}.json`, asJson(lines), 'application/json')} />
      <Menu.Item label="CSV" onClick={() => download(`${name}.csv`, asCsv(lines), 'text/csv')} />
    </Menu>
  );
  return (
    <Dropdown overlay={menu} placement="bottom-end">
      <IconButton name="download-alt" aria-label="Download lines" disabled={!lines.length} />
    </Dropdown>
  );
}
