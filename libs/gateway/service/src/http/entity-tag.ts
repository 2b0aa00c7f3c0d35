/** Whether an If-None-Match names this tag. Weak tags count: what is compared are whole bodies. */
export const hasTag = (header: string | undefined, tag: string): boolean =>
  (header ?? '').split(',').some((candidate) => {
    const entity_tag = candidate.trim().replace(/^W\//, '');
    return entity_tag === '*' || entity_tag === `"${tag}"`;
  });
