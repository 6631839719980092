import { Alert, Box, Button, Combobox, Field, FileDropzone, Input, Stack, TextArea } from '@grafana/ui';
import { locationService } from '@grafana/runtime';
import { useState } from 'react';
import { useLocation } from 'react-router-dom';
import { dashboards, type DashboardSummary } from '~/api/dashboards';
import { may, session } from '~/api/session';
import { Page } from '~/app/Page';
import { fillInputs, inputsOf, type ImportInput } from '~/dashboard/edit/save/exchange';
import { loadDashboard } from '~/dashboard/load';
import type { DashboardJson } from '~/dashboard/model';
import { catalog } from '~/datasources/catalog';
import { FolderPicker } from './FolderPicker';
import { slug } from './slug';

/** A dashboard that was read, before anything was said about it. */
interface Read {
  json: unknown;
  dashboard: DashboardJson;
  /** One that is here already under its uid. */
  other?: DashboardSummary | undefined;
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** Takes dashboards as JSON, from files or pasted. */
export default function Import() {
  const folder = new URLSearchParams(useLocation().search).get('folder') ?? '';
  const [text, setText] = useState('');
  const [problem, setProblem] = useState<string>();
  const [read, setRead] = useState<Read>();

  const attempt = async (act: () => Promise<void>) => {
    try {
      setProblem(undefined);
      await act();
    } catch (error) {
      setProblem(messageOf(error));
    }
  };
  const look = (source: string) =>
    attempt(async () => {
      const json: unknown = JSON.parse(source);
      const dashboard = loadDashboard(json);
      const list = await dashboards().list();
      setRead({ json, dashboard, other: list.find(({ uid }) => uid === dashboard.uid) });
    });
  const takeFiles = (files: File[]) =>
    attempt(async () => {
      const sources = await Promise.all(files.map((file) => file.text()));
      const [only] = sources;
      if (sources.length === 1 && only !== undefined) return look(only);
      for (const source of sources) {
        const json: unknown = JSON.parse(source);
        await keep(loadDashboard(fillInputs(json, defaultsOf(inputsOf(json)))), folder);
      }
      return locationService.push('/dashboards');
    });

  // What is kept in the browser is everybody's own.
  if (session().isKept && !may('editor'))
    return (
      <Page
        title="Import dashboards"
        error={new Error('Only editors and administrators import dashboards.')}
      />
    );
  return (
    <Page title="Import dashboards">
      {problem && (
        <Alert title="This is not a dashboard that can be imported" severity="error">
          {problem}
        </Alert>
      )}
      {read ? (
        <Details read={read} folder={folder} onBack={() => setRead(undefined)} attempt={attempt} />
      ) : (
        <>
          <FileDropzone
            options={{
              accept: { 'application/json': ['.json'] },
              multiple: true,
              onDrop: (files: File[]) => void takeFiles(files),
            }}
          />
          <Field label="Or paste its JSON" noMargin>
            <TextArea
              id="dashboard-json"
              rows={12}
              value={text}
              onChange={({ currentTarget }) => setText(currentTarget.value)}
            />
          </Field>
          <div>
            <Button disabled={!text.trim()} onClick={() => void look(text)}>
              Load
            </Button>
          </div>
        </>
      )}
    </Page>
  );
}

async function keep(dashboard: DashboardJson, folderUid: string): Promise<DashboardJson> {
  const uid = dashboard.uid || slug(dashboard.title).slice(0, 40);
  const kept = { ...dashboard, uid };
  await dashboards().save(kept, { folderUid: folderUid || null, overwrite: true, message: 'Imported' });
  return kept;
}

/** What is said for inputs where nobody is asked: the source of the kind, and the values that constants come with. */
function defaultsOf(inputs: ImportInput[]): Record<string, string> {
  return Object.fromEntries(
    inputs.map(({ name, type, pluginId, value }) => [
      name,
      type === 'constant' ? (value ?? '') : (catalog.find((source) => source.type === pluginId)?.uid ?? ''),
    ]),
  );
}

interface DetailsProps {
  read: Read;
  folder: string;
  onBack: () => void;
  attempt: (act: () => Promise<void>) => Promise<void>;
}

/** Under what name, where, and with which data sources it is taken. */
function Details({ read: { json, dashboard, other }, folder: first, onBack, attempt }: DetailsProps) {
  const inputs = inputsOf(json);
  const [title, setTitle] = useState(dashboard.title);
  const [uid, setUid] = useState(dashboard.uid);
  const [folder, setFolder] = useState(first);
  const [values, setValues] = useState(() => defaultsOf(inputs));
  const isTaken = Boolean(other) && other?.uid === uid;
  const take = () =>
    attempt(async () => {
      const filled = loadDashboard(fillInputs(json, values));
      const { version: _version, ...rest } = filled;
      const kept = await keep({ ...rest, title: title.trim(), uid: uid.trim() } as DashboardJson, folder);
      locationService.push(`/d/${kept.uid}/${slug(kept.title)}`);
    });
  return (
    <Stack direction="column" gap={2}>
      <Field label="Title" noMargin>
        <Input
          id="import-title"
          width={60}
          value={title}
          onChange={({ currentTarget }) => setTitle(currentTarget.value)}
        />
      </Field>
      <Field
        label="Identifier (uid)"
        description="Names it in addresses; made of the title where nothing is written"
        noMargin
      >
        <Input
          id="import-uid"
          width={60}
          value={uid}
          onChange={({ currentTarget }) => setUid(currentTarget.value)}
        />
      </Field>
      {isTaken && (
        <Alert
          title={`"${other?.title}" is here under this identifier`}
          severity={other?.isProvisioned ? 'error' : 'warning'}
        >
          {other?.isProvisioned
            ? 'It comes from a file and cannot be overwritten: choose another identifier.'
            : 'It will be overwritten, and stays in the version history. Choose another identifier to keep both.'}
        </Alert>
      )}
      {dashboards().hasHistory && (
        <Field label="Folder" noMargin>
          <Box maxWidth={60}>
            <FolderPicker value={folder} onChange={setFolder} />
          </Box>
        </Field>
      )}
      {inputs.map((input) => (
        <InputField
          key={input.name}
          input={input}
          value={values[input.name] ?? ''}
          onChange={(value) => setValues({ ...values, [input.name]: value })}
        />
      ))}
      <Stack>
        <Button
          disabled={!title.trim() || (isTaken && Boolean(other?.isProvisioned))}
          onClick={() => void take()}
        >
          Import
        </Button>
        <Button variant="secondary" onClick={onBack}>
          Back
        </Button>
      </Stack>
    </Stack>
  );
}

interface InputProps {
  input: ImportInput;
  value: string;
  onChange: (value: string) => void;
}

function InputField({ input, value, onChange }: InputProps) {
  const { name, label = name, description, type, pluginId, pluginName = pluginId } = input;
  const sources = catalog.filter((source) => !pluginId || source.type === pluginId);
  return (
    <Field
      label={label}
      description={description || (type === 'datasource' ? `A ${pluginName} data source` : undefined)}
      noMargin
    >
      {type === 'datasource' ? (
        <Combobox
          aria-label={label}
          width={60}
          placeholder={`Choose a ${pluginName} data source`}
          options={sources.map((source) => ({ label: source.name, value: source.uid }))}
          value={value || null}
          onChange={({ value: uid }) => onChange(uid)}
        />
      ) : (
        <Input
          id={`input-${name}`}
          width={60}
          value={value}
          onChange={({ currentTarget }) => onChange(currentTarget.value)}
        />
      )}
    </Field>
  );
}
