// Stands in for Monaco, which @grafana/ui imports for editors that are not used here.
export const loader = {
  config() {},
  init() {
    return new Promise(() => {});
  },
};
export default function NoEditor() {
  return null;
}
export const DiffEditor = NoEditor;
export const useMonaco = () => null;
export const languages = {};
export const editor = {};
export const KeyCode = {};
export const KeyMod = {};
export const Range = Object;
