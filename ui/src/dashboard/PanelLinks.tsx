import { linkModelToContextMenuItems, Dropdown, Icon, Menu, PanelChrome, ToolbarButton } from '@grafana/ui';
import {
  SceneObjectBase,
  sceneGraph,
  type SceneComponentProps,
  type SceneObject,
  type SceneObjectState,
} from '@grafana/scenes';
import { textUtil, type LinkModel } from '@grafana/data';
import type { LinkJson } from './model';

interface State extends SceneObjectState {
  links: LinkJson[];
}

/** Links of a panel, in its title. */
export class PanelLinks extends SceneObjectBase<State> {
  static Component = ({ model }: SceneComponentProps<PanelLinks>) => {
    const { links } = model.useState();
    if (!links.length) return null;
    const [first] = links;
    if (links.length === 1 && first) {
      const { href, title, target } = resolve(first, model);
      return (
        <PanelChrome.TitleItem href={href} target={target} title={title}>
          <Icon name="external-link-alt" size="md" />
        </PanelChrome.TitleItem>
      );
    }
    const items = linkModelToContextMenuItems(() => links.map((link) => resolve(link, model)));
    const menu = (
      <Menu>
        {items.map(({ label, url = '', target = '_self' }) => (
          <Menu.Item key={label} label={label} url={url} target={target} />
        ))}
      </Menu>
    );
    return (
      <Dropdown overlay={menu}>
        <ToolbarButton icon="external-link-alt" iconSize="md" aria-label="Panel links" />
      </Dropdown>
    );
  };
}

/** The address of a link with its variables in place; addresses that run something are left out. */
export function resolve(link: LinkJson, from: SceneObject): LinkModel {
  const interpolate = (text: string) => sceneGraph.interpolate(from, text);
  return {
    title: interpolate(link.title ?? ''),
    href: textUtil.sanitizeUrl(interpolate(link.url ?? '')),
    target: link.targetBlank ? '_blank' : '_self',
    origin: link,
  };
}
