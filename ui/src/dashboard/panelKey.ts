/** The number of a panel in the JSON, from its key or from what links call it; copies for the values of a variable have that of their source. */
export const numberOfPanel = (key: string): number => Number(/^(?:panel-)?(\d+)/.exec(key)?.[1]);
