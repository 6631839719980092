import { Alert, Button, Field, FileDropzone, TextArea } from '@grafana/ui';
import { locationService } from '@grafana/runtime';
import { useState } from 'react';
import { dashboards } from '~/api/dashboards';
import { Page } from '~/app/Page';
import { loadDashboard } from '~/dashboard/load';
import { slug } from './slug';

/** Takes dashboards as JSON, from files or pasted. */
export default function Import() {
  const [text, setText] = useState('');
  const [problem, setProblem] = useState<string>();

  const take = async (sources: string[]) => {
    try {
      const taken = [];
      for (const source of sources) taken.push(await importOne(source));
      const [first] = taken;
      locationService.push(
        taken.length === 1 && first ? `/d/${first.uid}/${slug(first.title)}` : '/dashboards',
      );
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  };

  const takeFiles = async (files: File[]) => take(await Promise.all(files.map((file) => file.text())));

  return (
    <Page title="Import dashboards">
      {problem && (
        <Alert title="This is not a dashboard that can be imported" severity="error">
          {problem}
        </Alert>
      )}
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
        <Button disabled={!text.trim()} onClick={() => void take([text])}>
          Import
        </Button>
      </div>
    </Page>
  );
}

async function importOne(source: string) {
  const parsed: unknown = JSON.parse(source);
  const dashboard = loadDashboard(parsed);
  dashboard.uid ||= slug(dashboard.title).slice(0, 40);
  await dashboards().save(dashboard);
  return dashboard;
}
