import * as schemes from 'd3-scale-chromatic';

export interface ColorOptions {
  mode: 'scheme' | 'opacity';
  scheme: string;
  fill: string;
  scale?: 'exponential' | 'linear';
  exponent: number;
  reverse?: boolean;
  steps?: number;
  min?: number;
  max?: number;
}

type Interpolate = (share: number) => string;

/** The colour of a count between the least and the greatest. */
export function colorScale(
  options: ColorOptions,
  least: number,
  greatest: number,
  fill: string,
): (count: number) => string {
  const min = options.min ?? least;
  const max = options.max ?? greatest;
  const named = (schemes as unknown as Record<string, Interpolate | undefined>)[
    `interpolate${options.scheme}`
  ];
  const interpolate = named ?? schemes.interpolateOranges;
  return (count) => {
    const share = max > min ? Math.max(0, Math.min(1, (count - min) / (max - min))) : 1;
    if (options.mode === 'opacity') {
      const opacity = options.scale === 'linear' ? share : share ** options.exponent;
      return `color-mix(in srgb, ${fill} ${Math.round(opacity * 100)}%, transparent)`;
    }
    const steps = options.steps ?? 64;
    const stepped = Math.round(share * (steps - 1)) / (steps - 1 || 1);
    return interpolate(options.reverse ? 1 - stepped : stepped);
  };
}
