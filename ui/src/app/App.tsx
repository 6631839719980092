import { ThemeContext, getThemeById } from '@grafana/data';
import { LocationServiceProvider, locationService } from '@grafana/runtime';
import { ErrorBoundaryAlert, GlobalStyles, ModalRoot, ModalsProvider, PortalContainer } from '@grafana/ui';
import { Suspense } from 'react';
import { Route, Routes } from 'react-router-dom';
import { Frame } from './Frame';
import { HistoryRouter } from './HistoryRouter';
import { loadPreferences } from './preferences';
import { Loading } from './Loading';
import { PAGES } from './routes';

export function App() {
  const theme = getThemeById(loadPreferences().theme);
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <LocationServiceProvider service={locationService}>
        <HistoryRouter>
          <ModalsProvider>
            <Frame>
              <Suspense fallback={<Loading />}>
                <Routes>
                  {PAGES.map(({ path, Page }) => (
                    <Route
                      key={path}
                      path={path}
                      element={
                        <ErrorBoundaryAlert>
                          <Page />
                        </ErrorBoundaryAlert>
                      }
                    />
                  ))}
                </Routes>
              </Suspense>
            </Frame>
            <ModalRoot />
          </ModalsProvider>
        </HistoryRouter>
      </LocationServiceProvider>
      <PortalContainer />
    </ThemeContext.Provider>
  );
}
