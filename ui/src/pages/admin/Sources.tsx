import { css } from '@emotion/css';
import { Alert, Badge, Button, ConfirmModal, Modal } from '@grafana/ui';
import { useCallback, useState } from 'react';
import { sources, type StoredSource } from '~/api/admin';
import { may } from '~/api/session';
import { DataTable, type Column } from '~/app/DataTable';
import { useLoad } from '~/app/useLoad';
import { SourceForm } from './SourceForm';

type Doing = { what: 'create' } | { what: 'change' | 'remove'; source: StoredSource };

/** Servers that dashboards and Explore can ask, beside this one. */
export function Sources() {
  const { value = [], error, reload } = useLoad(useCallback(() => sources.list(), []));
  const [doing, setDoing] = useState<Doing>();
  const [failure, setFailure] = useState<Error>();
  const done = () => {
    setDoing(undefined);
    reload();
  };
  const remove = async ({ uid }: StoredSource) => {
    try {
      await sources.remove(uid);
    } catch (reason) {
      setFailure(reason as Error);
    }
    done();
  };
  const problem = failure ?? error;
  return (
    <>
      {problem && <Alert title={problem.message} severity="error" />}
      <div>
        <Button icon="plus" disabled={!may('admin')} onClick={() => setDoing({ what: 'create' })}>
          New data source
        </Button>
      </div>
      <DataTable
        label="Data sources"
        rows={value}
        columns={columns(setDoing)}
        rowKey={({ uid }) => uid}
        empty="There is only this server itself: its metrics, logs and alerts are always there."
      />
      {doing && doing.what !== 'remove' && (
        <Modal
          title={doing.what === 'create' ? 'New data source' : doing.source.name}
          isOpen
          onDismiss={() => setDoing(undefined)}
        >
          <SourceForm old={doing.what === 'change' ? doing.source : undefined} onDone={done} />
        </Modal>
      )}
      {doing?.what === 'remove' && (
        <ConfirmModal
          isOpen
          title={`Delete ${doing.source.name}?`}
          body="Panels that ask it will fail."
          confirmText="Delete"
          onConfirm={() => void remove(doing.source)}
          onDismiss={() => setDoing(undefined)}
        />
      )}
    </>
  );
}

const columns = (doThis: (doing: Doing) => void): Column<StoredSource>[] => [
  {
    header: 'Name',
    cell: ({ name, isDefault, isProvisioned }) => (
      <span className={ACTIONS}>
        {name}
        {isDefault && <Badge text="default" color="blue" />}
        {isProvisioned && <Badge text="from a file" color="purple" />}
      </span>
    ),
  },
  { header: 'Kind', cell: ({ kind }) => kind },
  { header: 'Address', cell: ({ url }) => (url === '' ? 'this server' : url) },
  {
    header: 'Actions',
    cell: (source) =>
      source.isProvisioned ? (
        'changed in its file'
      ) : (
        <div className={ACTIONS}>
          <Button
            size="sm"
            variant="secondary"
            disabled={!may('admin')}
            onClick={() => doThis({ what: 'change', source })}
          >
            Edit
          </Button>
          <Button
            size="sm"
            variant="destructive"
            fill="outline"
            disabled={!may('admin')}
            aria-label={`Delete ${source.name}`}
            onClick={() => doThis({ what: 'remove', source })}
          >
            Delete
          </Button>
        </div>
      ),
  },
];

const ACTIONS = css({ display: 'flex', flexWrap: 'wrap', gap: 8 });
