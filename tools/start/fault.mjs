/** Something the person who started us can put right: printed as one message, without a stack. */
export class StartFault extends Error {
  constructor(message, { exit_code = 1, cause } = {}) {
    super(message, { cause });
    this.name = 'StartFault';
    this.exit_code = exit_code;
  }
}
