/** What RFC 8259 can carry: the only kind of value that enters the log. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };
