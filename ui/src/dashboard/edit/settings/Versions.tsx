import { css } from '@emotion/css';
import { dateTimeFormat, type GrafanaTheme2 } from '@grafana/data';
import { Alert, Badge, Button, Checkbox, ConfirmModal, Stack, useStyles2 } from '@grafana/ui';
import { useCallback, useState } from 'react';
import { dashboards, type Version } from '~/api/dashboards';
import { ago } from '~/app/format';
import { useLoad } from '~/app/useLoad';
import { loadDashboard } from '../../load';
import type { DashboardJson } from '../../model';
import { reopen } from '../commit';
import { Changes } from '../save/Changes';
import type { PartProps } from './SettingsPage';

interface Compared {
  older: Version;
  newer: Version;
  before: DashboardJson;
  after: DashboardJson;
}

/** Earlier versions: who made them, what is different between two, and the way back. */
export function Versions({ scene, dashboard: { uid } }: PartProps) {
  const styles = useStyles2(getStyles);
  const { value: list = [], error } = useLoad(useCallback(() => dashboards().versions(uid), [uid]));
  const [chosen, setChosen] = useState<number[]>([]);
  const [compared, setCompared] = useState<Compared>();
  const [asked, setAsked] = useState<number>();
  const [failure, setFailure] = useState<string>();
  const newest = list[0]?.version;

  const attempt = (act: () => Promise<void>) => {
    act().catch((reason: unknown) => setFailure(reason instanceof Error ? reason.message : String(reason)));
  };
  const compare = async (pair: number[]) => {
    const [older, newer] = [...pair]
      .sort((a, b) => a - b)
      .map((n) => list.find(({ version }) => version === n));
    if (!older || !newer) return;
    const [before, after] = await Promise.all(
      [older, newer].map((each) => dashboards().version(uid, each.version)),
    );
    setCompared({ older, newer, before: loadDashboard(before), after: loadDashboard(after) });
  };
  const restore = async (version: number) => {
    setAsked(undefined);
    await dashboards().restore(uid, version);
    await reopen(scene);
  };
  const toggle = (version: number, isChosen: boolean) =>
    setChosen(isChosen ? [...chosen, version].slice(-2) : chosen.filter((each) => each !== version));

  return (
    <Stack direction="column" gap={2}>
      {(failure ?? error) && (
        <Alert title="This did not work" severity="error">
          {failure ?? error?.message}
        </Alert>
      )}
      {compared ? (
        <>
          <Stack alignItems="center">
            <Button variant="secondary" icon="arrow-left" size="sm" onClick={() => setCompared(undefined)}>
              All versions
            </Button>
            <h2 className={styles.heading}>
              Version {compared.older.version} to {compared.newer.version}
            </h2>
            <Button
              size="sm"
              variant="destructive"
              icon="history"
              onClick={() => setAsked(compared.older.version)}
            >
              Restore version {compared.older.version}
            </Button>
          </Stack>
          <Changes before={compared.before} after={compared.after} />
        </>
      ) : (
        <>
          <div>
            <Button
              icon="code-branch"
              disabled={chosen.length !== 2}
              onClick={() => attempt(() => compare(chosen))}
            >
              Compare two versions
            </Button>
          </div>
          <VersionTable
            list={list}
            chosen={chosen}
            onChoose={toggle}
            onCompare={(version) => attempt(() => compare([version, newest ?? version]))}
            onRestore={setAsked}
          />
        </>
      )}
      <ConfirmModal
        isOpen={asked !== undefined}
        title="Restore version"
        body={`Make version ${asked} the newest one? Changes that were not saved are lost; the versions since stay in the history.`}
        confirmText={`Yes, restore version ${asked}`}
        confirmButtonVariant="primary"
        onConfirm={() => {
          if (asked !== undefined) attempt(() => restore(asked));
        }}
        onDismiss={() => setAsked(undefined)}
      />
    </Stack>
  );
}

interface TableProps {
  list: Version[];
  chosen: number[];
  onChoose: (version: number, isChosen: boolean) => void;
  onCompare: (version: number) => void;
  onRestore: (version: number) => void;
}

function VersionTable({ list, chosen, onChoose, onCompare, onRestore }: TableProps) {
  const styles = useStyles2(getStyles);
  return (
    <table className={styles.table}>
      <thead>
        <tr>
          <th aria-label="Chosen" />
          <th>Version</th>
          <th>When</th>
          <th>By</th>
          <th>What was changed</th>
          <th aria-label="Actions" />
        </tr>
      </thead>
      <tbody>
        {list.map(({ version, createdMs, createdBy, message }) => (
          <tr key={version}>
            <td>
              <Checkbox
                aria-label={`Choose version ${version}`}
                value={chosen.includes(version)}
                onChange={({ currentTarget }) => onChoose(version, currentTarget.checked)}
              />
            </td>
            <td>{version}</td>
            <td title={dateTimeFormat(createdMs)}>{ago(new Date(createdMs).toISOString())}</td>
            <td>{createdBy}</td>
            <td className={styles.message}>{message}</td>
            <td>
              {version === list[0]?.version ? (
                <Badge text="Latest" color="blue" />
              ) : (
                <Stack justifyContent="flex-end">
                  <Button size="sm" variant="secondary" fill="text" onClick={() => onCompare(version)}>
                    Compare with latest
                  </Button>
                  <Button
                    size="sm"
                    variant="secondary"
                    icon="history"
                    aria-label={`Restore version ${version}`}
                    onClick={() => onRestore(version)}
                  >
                    Restore
                  </Button>
                </Stack>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  heading: css({ fontSize: theme.typography.h5.fontSize, margin: 0, flex: '1 1 auto' }),
  table: css({
    width: '100%',
    '& th': { color: theme.colors.text.secondary, fontWeight: 500, textAlign: 'left' },
    '& th, & td': { borderBottom: `1px solid ${theme.colors.border.weak}`, padding: theme.spacing(1) },
  }),
  message: css({ width: '45%' }),
});
