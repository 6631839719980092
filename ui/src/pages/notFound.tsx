import { Page } from '~/app/Page';

export default function NotFound() {
  return <Page title="There is no such page">The address leads nowhere.</Page>;
}
