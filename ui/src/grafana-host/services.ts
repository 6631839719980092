/** The services that the Grafana packages expect their host to have set. */
import { EventBusSrv, locationUtil, setTimeZoneResolver, type GrafanaConfig } from '@grafana/data';
import {
  setAppEvents,
  setChromeHeaderHeightHook,
  setDataSourceSrv,
  setEchoSrv,
  setPluginImportUtils,
  setPluginLinksHook,
  setReturnToPreviousHook,
  setRunRequest,
  setTemplateSrv,
  type EchoSrv,
} from '@grafana/runtime';
import { PREFIX } from '~/api/http';
import { loadPreferences } from '~/app/preferences';
import { dataSources } from '~/datasources';
import { importPanelPlugin, loadedPanelPlugin } from '~/panels';
import { initMacros } from './macros';
import { runRequest } from './runRequest';
import { templates } from './templates';

export function initServices(): void {
  locationUtil.initialize({
    config: { appSubUrl: PREFIX } as GrafanaConfig,
    getTimeRangeForUrl: () => ({ from: 'now-6h', to: 'now' }),
    getVariablesUrlParams: () => ({}),
  });
  setTimeZoneResolver(() => loadPreferences().timeZone);
  setAppEvents(new EventBusSrv());
  setEchoSrv(silent);
  setReturnToPreviousHook(() => () => undefined);
  setChromeHeaderHeightHook(() => 0);
  setPluginLinksHook(() => ({ isLoading: false, links: [] }));
  setRunRequest(runRequest);
  setTemplateSrv(templates);
  initMacros();
  setDataSourceSrv(dataSources);
  setPluginImportUtils({ importPanelPlugin, getPanelPluginFromCache: loadedPanelPlugin });
}

/** Takes reports of how the program is used and tells nobody. */
const silent: EchoSrv = {
  flush: () => undefined,
  addBackend: () => undefined,
  addEvent: () => undefined,
  onInteraction: () => () => undefined,
};
