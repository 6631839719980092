import { locationService } from '@grafana/runtime';
import { ConfirmModal } from '@grafana/ui';
import { useEffect, useState } from 'react';
import { PREFIX } from '~/api/http';
import type { DashboardScene } from '../DashboardScene';
import { isChanged } from './commit';

/** Asks before changes are lost that were not saved. */
export function LeaveGuard({ scene }: { scene: DashboardScene }) {
  const [target, setTarget] = useState<string>();
  const [isAllowed, setAllowed] = useState(false);
  useEffect(() => {
    if (isAllowed) return undefined;
    const warn = (event: BeforeUnloadEvent) => {
      if (isChanged(scene)) event.preventDefault();
    };
    window.addEventListener('beforeunload', warn);
    const here = window.location.pathname;
    const unblock = locationService.getHistory().block((location) => {
      const there = `${PREFIX}${location.pathname}`;
      if (there === here || location.pathname === here || !isChanged(scene)) return undefined;
      setTarget(`${location.pathname}${location.search}${location.hash}`);
      return false;
    });
    return () => {
      window.removeEventListener('beforeunload', warn);
      unblock();
    };
  }, [scene, isAllowed]);
  useEffect(() => {
    if (isAllowed && target) locationService.push(target);
  }, [isAllowed, target]);
  return (
    <ConfirmModal
      isOpen={Boolean(target) && !isAllowed}
      title="Unsaved changes"
      body="This dashboard has changes that were not saved. They are lost if you leave."
      confirmText="Leave without saving"
      dismissText="Stay"
      onConfirm={() => setAllowed(true)}
      onDismiss={() => setTarget(undefined)}
    />
  );
}
