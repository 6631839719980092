import { Combobox } from '@grafana/ui';
import { useCallback } from 'react';
import { dashboards } from '~/api/dashboards';
import { folders, pathOf } from '~/api/folders';
import { useLoad } from '~/app/useLoad';
import { isWithin } from './folders';

interface Props {
  /** The uid of a folder; nothing is the top. */
  value: string;
  onChange: (uid: string) => void;
  /** A folder that is not to be chosen, nor what lies in it. */
  without?: string;
}

/** Chooses a folder by its title behind those it lies in. */
export function FolderPicker({ value, onChange, without }: Props) {
  const load = useCallback(() => (dashboards().hasHistory ? folders.list() : Promise.resolve([])), []);
  const { value: list = [] } = useLoad(load);
  const options = [
    { label: 'Dashboards (top)', value: '' },
    ...list
      .filter((folder) => !without || !isWithin(folder, without, list))
      .map((folder) => ({ label: pathOf(folder, list), value: folder.uid }))
      .sort((a, b) => a.label.localeCompare(b.label)),
  ];
  return (
    <Combobox
      aria-label="Folder"
      options={options}
      value={value}
      onChange={({ value: uid }) => onChange(uid)}
    />
  );
}
