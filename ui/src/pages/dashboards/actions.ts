/** What is done with dashboards and folders in the list of them. */
import { dashboards, type DashboardSummary } from '~/api/dashboards';
import { folders, type Folder } from '~/api/folders';
import { setHomeDashboard } from '~/api/preferences';

/** What somebody is asked before it is done. */
export type Ask =
  | { kind: 'newFolder'; parent: string }
  | { kind: 'renameFolder' | 'moveFolder'; folder: Folder }
  | { kind: 'deleteFolder'; folder: Folder; count: number }
  | { kind: 'moveDashboard' | 'deleteDashboard'; dashboard: DashboardSummary };

export class Actions {
  constructor(
    private readonly reload: () => void,
    private readonly fail: (message: string | undefined) => void,
    readonly ask: (ask: Ask | undefined) => void,
  ) {}

  /** Does something, closes what was asked, and shows what has become of it. */
  async #attempt(act: () => Promise<unknown>): Promise<void> {
    this.ask(undefined);
    try {
      this.fail(undefined);
      await act();
    } catch (error) {
      this.fail(error instanceof Error ? error.message : String(error));
    }
    this.reload();
  }

  star = ({ uid, isStarred }: DashboardSummary) => this.#attempt(() => dashboards().star(uid, !isStarred));
  makeHome = (uid: string | undefined) => this.#attempt(() => setHomeDashboard(uid));
  removeDashboard = (uid: string) => this.#attempt(() => dashboards().remove(uid));
  moveDashboard = (uid: string, folder: string) =>
    this.#attempt(() => dashboards().move(uid, folder || null));
  createFolder = (title: string, parent: string) =>
    this.#attempt(() => folders.create(title, parent || null));
  renameFolder = (uid: string, title: string) => this.#attempt(() => folders.rename(uid, title));
  moveFolder = (uid: string, parent: string) => this.#attempt(() => folders.move(uid, parent || null));
  removeFolder = (uid: string) => this.#attempt(() => folders.remove(uid));
}
