/** The first items that fit both bounds; a list that is cut says so by the count beside it. */
export const fitting = <Item>(items: readonly Item[], items_max: number, bytes_max: number): Item[] => {
  const kept: Item[] = [];
  let bytes = 0;
  for (const item of items.slice(0, items_max)) {
    bytes += Buffer.byteLength(JSON.stringify(item)) + 1;
    if (bytes > bytes_max) break;
    kept.push(item);
  }
  return kept;
};
