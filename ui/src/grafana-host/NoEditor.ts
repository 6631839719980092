/** In place of the editor of an option. */
export const NoEditor = () => null;
