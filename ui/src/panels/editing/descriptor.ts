/** How one option is edited. */

export interface Choice<T = string | number | boolean | null> {
  label: string;
  value: T;
}

export type Kind =
  | 'boolean'
  | 'radio'
  | 'select'
  | 'multi'
  | 'number'
  | 'slider'
  | 'text'
  | 'long'
  | 'strings'
  | 'unit'
  | 'color'
  | 'colorMode'
  | 'stats'
  | 'field'
  | 'thresholds'
  | 'mappings'
  | 'links'
  | 'xySeries'
  | 'code'
  | 'json';

export interface Descriptor {
  /** Where it lies in the options, such as `legend.displayMode`. */
  path: string;
  name: string;
  /** The heading it stands below. */
  category: string;
  kind: Kind;
  about?: string;
  choices?: Choice[];
  min?: number;
  max?: number;
  step?: number;
  placeholder?: string;
  /** Whether it means something beside what else is chosen. */
  shown?: (options: Record<string, unknown>) => boolean;
}

/** Words that are choices by themselves, with a capital letter as labels. */
export const choices = (...values: string[]): Choice[] =>
  values.map((value) => ({ value, label: value.charAt(0).toUpperCase() + value.slice(1) }));
