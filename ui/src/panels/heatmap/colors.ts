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

/** Schemes that run from warm to cold: much is to be warm. */
const FROM_WARM = ['Spectral', 'RdYlGn', 'RdYlBu', 'RdBu', 'RdGy', 'BrBG', 'PRGn', 'PiYG', 'PuOr'];
/** Schemes that run from dark to light; all others run from light to dark. */
const FROM_DARK = ['Turbo', 'Cividis', 'Viridis', 'Magma', 'Inferno', 'Plasma', 'Warm', 'Cool', 'CubehelixDefault', 'Cubehelix']; // prettier-ignore

/** Whether a scheme is turned round, so that little lies close to the background and much stands out. */
const isTurned = (scheme: string, isDark: boolean) =>
  FROM_WARM.includes(scheme) || (FROM_DARK.includes(scheme) ? !isDark : isDark);

/** The colour of a count between the least and the greatest. */
export function colorScale(
  options: ColorOptions,
  least: number,
  greatest: number,
  fill: string,
  isDark: boolean,
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
    const isBackward = Boolean(options.reverse) !== isTurned(options.scheme, isDark);
    return interpolate(isBackward ? 1 - stepped : stepped);
  };
}
