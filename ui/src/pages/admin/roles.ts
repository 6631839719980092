import type { Role } from '~/api/session';

/** Roles, and what each of them may do beyond the one before. */
export const ROLES: { label: string; value: Role; description: string }[] = [
  { label: 'Viewer', value: 'viewer', description: 'looks at everything' },
  { label: 'Editor', value: 'editor', description: 'changes dashboards and silences' },
  { label: 'Admin', value: 'admin', description: 'changes users, data sources and the server' },
];
