import { Page } from '~/app/Page';

export default function Home() {
  return <Page title="Home" />;
}
