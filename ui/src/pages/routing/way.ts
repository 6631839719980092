import type { RouteNode } from '~/api/routing';

/** The routes from the root to one, by their ids; none where there is no such route. */
export function wayTo(route: RouteNode, id: string): string[] {
  if (route.id === id) return [route.id];
  for (const child of route.routes) {
    const below = wayTo(child, id);
    if (below.length) return [route.id, ...below];
  }
  return [];
}

/** Seconds as configurations write them. */
export function period(seconds: number): string {
  const units: [number, string][] = [
    [86_400, 'd'],
    [3600, 'h'],
    [60, 'm'],
    [1, 's'],
  ];
  let rest = Math.round(seconds);
  let text = '';
  for (const [size, unit] of units) {
    const whole = Math.floor(rest / size);
    if (whole) text += `${whole}${unit}`;
    rest %= size;
  }
  return text || '0s';
}
