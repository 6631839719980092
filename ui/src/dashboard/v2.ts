/** Dashboards of version 2 of the schema: elements and a layout in place of panels with places. */

export function isV2(json: Record<string, unknown>): boolean {
  const spec = (json.spec ?? json) as Record<string, unknown>;
  return typeof spec.elements === 'object' && spec.elements !== null && typeof spec.layout === 'object';
}

export function fromV2(json: Record<string, unknown>): Record<string, unknown> {
  return json;
}
