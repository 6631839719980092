/** A title as it stands in an address. */
export function slug(title: string): string {
  const plain = title.normalize('NFKD').toLowerCase();
  return plain.replace(/[^\p{Letter}\p{Number}]+/gu, '-').replace(/^-|-$/g, '') || 'dashboard';
}
