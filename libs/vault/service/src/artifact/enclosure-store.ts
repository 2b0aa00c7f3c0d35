import { BlobStore } from '@nexusmon/artifacts';

/** The space of what only events name. The vault gives addresses in it, and never lists, checks or removes there. */
export class EnclosureStore extends BlobStore {}
