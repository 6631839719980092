// Stands in for React's renderer on servers, which @grafana/ui imports only to get the text of what it has cut short.
function textOf(node) {
  if (node === null || node === undefined || typeof node === 'boolean') return '';
  if (Array.isArray(node)) return node.map(textOf).join('');
  if (typeof node === 'object') return textOf(node.props?.children);
  return String(node);
}

// What asks for it takes tags out: a text with the signs of one would lose more than that.
const escaped = (text) => text.replace(/[<>]/g, (sign) => (sign === '<' ? '‹' : '›'));

export const renderToStaticMarkup = (node) => escaped(textOf(node));
export const renderToString = renderToStaticMarkup;
export default { renderToStaticMarkup, renderToString };
