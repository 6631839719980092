import { textUtil } from '@grafana/data';
import { sceneGraph, type SceneObject } from '@grafana/scenes';
import { Dropdown, LinkButton, Menu, ToolbarButton } from '@grafana/ui';
import { useEffect, useState } from 'react';
import { dashboards, type DashboardSummary } from '~/api/dashboards';
import type { LinkJson } from './model';

interface Props {
  links: LinkJson[];
  from: SceneObject;
}

/** Links of a dashboard: to addresses, and to dashboards with certain tags. */
export function DashboardLinks({ links, from }: Props) {
  return links.map((link, index) =>
    link.type === 'dashboards' ? (
      <Tagged key={index} link={link} from={from} />
    ) : (
      <Plain key={index} link={link} from={from} />
    ),
  );
}

function Plain({ link, from }: { link: LinkJson; from: SceneObject }) {
  const href = textUtil.sanitizeUrl(withState(sceneGraph.interpolate(from, link.url ?? ''), link, from));
  return (
    <LinkButton
      variant="secondary"
      fill="outline"
      icon="link"
      href={href}
      tooltip={link.tooltip ?? ''}
      target={link.targetBlank ? '_blank' : '_self'}
    >
      {sceneGraph.interpolate(from, link.title)}
    </LinkButton>
  );
}

function Tagged({ link, from }: { link: LinkJson; from: SceneObject }) {
  const [found, setFound] = useState<DashboardSummary[]>([]);
  useEffect(() => {
    void dashboards()
      .list()
      .then((all) =>
        setFound(all.filter(({ tags }) => (link.tags ?? []).every((tag) => tags.includes(tag)))),
      );
  }, [link]);
  const href = (uid: string) => withState(`/d/${uid}`, link, from);
  if (!link.asDropdown) {
    return found.map(({ uid, title }) => (
      <LinkButton key={uid} variant="secondary" fill="outline" icon="apps" href={href(uid)}>
        {title}
      </LinkButton>
    ));
  }
  const menu = (
    <Menu>
      {found.map(({ uid, title }) => (
        <Menu.Item key={uid} label={title} url={href(uid)} />
      ))}
    </Menu>
  );
  return (
    <Dropdown overlay={menu}>
      <ToolbarButton variant="canvas" icon="bars" isOpen={false}>
        {sceneGraph.interpolate(from, link.title || 'Dashboards')}
      </ToolbarButton>
    </Dropdown>
  );
}

/** The address with the time range and the variables that the link takes along. */
function withState(url: string, { keepTime, includeVars }: LinkJson, from: SceneObject): string {
  const parameters: string[] = [];
  if (keepTime) parameters.push(sceneGraph.interpolate(from, '${__url_time_range}'));
  if (includeVars) parameters.push(sceneGraph.interpolate(from, '${__all_variables}'));
  const query = parameters.filter(Boolean).join('&');
  return query ? `${url}${url.includes('?') ? '&' : '?'}${query}` : url;
}
