// Only what has to be there before the Grafana packages are imported; see grafana-host/boot.ts.
import './grafana-host/boot';

void import('./app/start').then(({ start }) => start());
