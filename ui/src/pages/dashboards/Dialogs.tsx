import { Button, ConfirmModal, Field, Input, Modal } from '@grafana/ui';
import { useState } from 'react';
import type { Folder } from '~/api/folders';
import type { Actions, Ask } from './actions';
import { FolderPicker } from './FolderPicker';

interface Props {
  asked: Ask | undefined;
  actions: Actions;
  folders: Folder[];
  onClose: () => void;
}

/** What is asked before something is done, if anything is. */
export function Dialogs({ asked, actions, onClose }: Props) {
  switch (asked?.kind) {
    case 'newFolder':
      return (
        <TitleModal
          title="New folder"
          confirm="Create"
          onConfirm={(title) => void actions.createFolder(title, asked.parent)}
          onClose={onClose}
        />
      );
    case 'renameFolder':
      return (
        <TitleModal
          title={`Rename "${asked.folder.title}"`}
          first={asked.folder.title}
          confirm="Rename"
          onConfirm={(title) => void actions.renameFolder(asked.folder.uid, title)}
          onClose={onClose}
        />
      );
    case 'moveFolder':
      return (
        <MoveModal
          title={`Move "${asked.folder.title}"`}
          first={asked.folder.parentUid ?? ''}
          without={asked.folder.uid}
          onConfirm={(parent) => void actions.moveFolder(asked.folder.uid, parent)}
          onClose={onClose}
        />
      );
    case 'moveDashboard':
      return (
        <MoveModal
          title={`Move "${asked.dashboard.title}"`}
          first={asked.dashboard.folderUid ?? ''}
          onConfirm={(folder) => void actions.moveDashboard(asked.dashboard.uid, folder)}
          onClose={onClose}
        />
      );
    case 'deleteFolder':
      return (
        <ConfirmModal
          isOpen
          title={`Delete "${asked.folder.title}"`}
          body={
            asked.count
              ? `All that lies in it goes, too: ${asked.count} ${asked.count === 1 ? 'dashboard' : 'dashboards'}.`
              : 'There is nothing in it.'
          }
          confirmText="Delete"
          onConfirm={() => void actions.removeFolder(asked.folder.uid)}
          onDismiss={onClose}
        />
      );
    case 'deleteDashboard':
      return (
        <ConfirmModal
          isOpen
          title={`Delete "${asked.dashboard.title}"`}
          body="The dashboard goes with all its versions."
          confirmText="Delete"
          onConfirm={() => void actions.removeDashboard(asked.dashboard.uid)}
          onDismiss={onClose}
        />
      );
    default:
      return null;
  }
}

interface TitleProps {
  title: string;
  first?: string;
  confirm: string;
  onConfirm: (title: string) => void;
  onClose: () => void;
}

function TitleModal({ title, first = '', confirm, onConfirm, onClose }: TitleProps) {
  const [text, setText] = useState(first);
  const isReady = Boolean(text.trim()) && text.trim() !== first;
  return (
    <Modal isOpen title={title} onDismiss={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (isReady) onConfirm(text.trim());
        }}
      >
        <Field label="Title">
          <Input
            id="folder-title"
            autoFocus
            value={text}
            onChange={({ currentTarget }) => setText(currentTarget.value)}
          />
        </Field>
        <Modal.ButtonRow>
          <Button type="button" variant="secondary" fill="outline" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" disabled={!isReady}>
            {confirm}
          </Button>
        </Modal.ButtonRow>
      </form>
    </Modal>
  );
}

interface MoveProps {
  title: string;
  first: string;
  without?: string;
  onConfirm: (folder: string) => void;
  onClose: () => void;
}

function MoveModal({ title, first, without, onConfirm, onClose }: MoveProps) {
  const [folder, setFolder] = useState(first);
  return (
    <Modal isOpen title={title} onDismiss={onClose}>
      <Field label="Into the folder">
        <FolderPicker value={folder} onChange={setFolder} {...(without ? { without } : {})} />
      </Field>
      <Modal.ButtonRow>
        <Button variant="secondary" fill="outline" onClick={onClose}>
          Cancel
        </Button>
        <Button disabled={folder === first} onClick={() => onConfirm(folder)}>
          Move
        </Button>
      </Modal.ButtonRow>
    </Modal>
  );
}
