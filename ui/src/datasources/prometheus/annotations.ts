import {
  type AnnotationEvent,
  type AnnotationQuery,
  type AnnotationSupport,
  type DataFrame,
} from '@grafana/data';
import { of } from 'rxjs';
import type { Labels } from '~/api/prometheus';
import { legend } from './legend';
import type { PromQuery } from './query';

/** The part of an annotation query that dashboards keep for Prometheus. */
interface PromAnnotation extends AnnotationQuery<PromQuery> {
  expr?: string;
  step?: string;
  titleFormat?: string;
  textFormat?: string;
  tagKeys?: string;
  useValueForTime?: boolean | string;
}

/** Events are the times at which an expression is not 0. */
export const annotationSupport: AnnotationSupport<PromQuery> = {
  prepareAnnotation(stored: PromAnnotation) {
    const { expr = '', step } = stored;
    const target: PromQuery = {
      ...(step ? { interval: step } : {}),
      ...stored.target,
      refId: 'Anno',
      expr: stored.target?.expr ?? expr,
    };
    return { ...stored, target };
  },
  processEvents: (annotation, frames) => of(annotationEvents(frames, annotation as PromAnnotation)),
};

/** Steps that follow each other and are not 0 are one event. */
export function annotationEvents(frames: DataFrame[], annotation: PromAnnotation): AnnotationEvent[] {
  const events: AnnotationEvent[] = [];
  for (const { fields, length } of frames) {
    const [time, value] = fields;
    const stepMs = time?.config.interval ?? 0;
    const described = describe(value?.labels ?? {}, annotation);
    let current: AnnotationEvent | undefined;
    for (let row = 0; row < length; row++) {
      const at = Number(time?.values[row]);
      const number = Number(value?.values[row]);
      if (!number) {
        current = undefined;
        continue;
      }
      if (annotation.useValueForTime) {
        events.push({ ...described, time: Math.floor(number) });
      } else if (current && at - (current.timeEnd ?? 0) <= stepMs) {
        current.timeEnd = at;
        current.isRegion = true;
      } else {
        current = { ...described, time: at, timeEnd: at, isRegion: false };
        events.push(current);
      }
    }
  }
  return events;
}

function describe(
  labels: Labels,
  { titleFormat, textFormat, tagKeys, name, iconColor }: PromAnnotation,
): AnnotationEvent {
  const tags = (tagKeys ?? '').split(',').map((key) => labels[key.trim()] ?? '');
  return {
    title: titleFormat ? (legend(labels, titleFormat, '') ?? '') : name,
    text: textFormat ? (legend(labels, textFormat, '') ?? '') : '',
    tags: tags.filter(Boolean),
    color: iconColor,
  };
}
