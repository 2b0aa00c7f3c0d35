/** The object storage does not answer, or not as it should. The same call may succeed later. */
export class BlobStoreUnavailable extends Error {
  override readonly name = 'BlobStoreUnavailable';
  readonly dependency = 'blob-store';
  constructor(doing: string, options?: ErrorOptions) {
    super(`the object storage could not ${doing}`, options);
  }
}

/** There is no blob of this digest. */
export class BlobAbsent extends Error {
  override readonly name = 'BlobAbsent';
  constructor(readonly sha256: string) {
    super(`no blob has the digest ${sha256}`);
  }
}

/** The storage has no room for more. */
export class StoreFull extends Error {
  override readonly name = 'StoreFull';
  constructor(options?: ErrorOptions) {
    super('the object storage is full', options);
  }
}

/** An upload in parts is not there any more: it was given up, or it stood still for too long. */
export class UploadLost extends Error {
  override readonly name = 'UploadLost';
  constructor(readonly upload_id: string) {
    super(`there is no unfinished upload ${upload_id}`);
  }
}
