/** Transformations that Grafana's core has and its packages have not. */
import type { DataTransformerInfo } from '@grafana/data';

export const ownTransformers: DataTransformerInfo[] = [];
