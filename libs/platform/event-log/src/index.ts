export * from './aggregate.js';
export { canonical, sha256Hex, Unkeepable } from './canonical.js';
export { messageOf, parseType, type RecordedEvent } from './codec.js';
export {
  Catalogues,
  Commit,
  COMMIT_BYTES_MAX,
  decodeCommit,
  leavesOf,
  type EventFilter,
  type LogMessage,
  type StreamIdentity,
} from './commit.js';
export { checkCorpus, schemaDigest, type CorpusExamples } from './corpus.js';
export * from './errors.js';
export * from './event-log.js';
export { EventStream, type StreamInfo } from './event-stream.js';
export * from './ids.js';
export * from './names.js';
export * from './position.js';
export { readStream } from './read-stream.js';
export { Chain, scrub, type Scrubbed, type ScrubOptions } from './scrub.js';
export { ERASED, keyIdOf, openText, SealBroken, sealText } from './sealing.js';
export { eventStreamConfig, type Checkpoint, type Monitor } from './start-checks.js';
