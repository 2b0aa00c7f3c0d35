// What one aggregate writes: from a decider's events to the log's bytes, and back to the latest version of them.

import type { KeyObject } from 'node:crypto';
import type { Message } from '@nexusmon/kernel';
import type { Catalogue, CloudEvent, EventHistory } from '@nexusmon/shared-contract';
import type { Keyring } from '@nexusmon/keys';
import { z } from 'zod';
import { canonical } from './canonical.js';
import { EventInvalid, UnknownEventVersion } from './errors.js';
import { eventId } from './ids.js';
import { openData, openText, sealData, sealedKeyIds, sealPlan, sealText, type SealPlan } from './sealing.js';

type Data = Record<string, unknown>;

/** An event as readers see it: the CloudEvent with its data opened and in the latest version. */
export type RecordedEvent = Readonly<
  Omit<CloudEvent, 'data'> & {
    /** As the code says it: `MissionCreated`. */
    name: string;
    /** The version it was written in; `data` is always in the latest. */
    version: number;
    /** Its place in its commit. */
    index: number;
    data: Data;
  }
>;

/** The event as its decider made it. */
export const messageOf = ({ name, actor, time, data }: RecordedEvent): Message => ({ type: name, actor, time, data });

/** What the log adds to an event of a decider. */
export type Stamp = Readonly<{
  subject: string;
  id: string;
  command_id: string;
  correlation_id: string;
  traceparent: string | undefined;
  key: Readonly<{ key_id: string; secret: KeyObject }> | undefined;
}>;

type EventType = Readonly<{
  history: EventHistory;
  schema: z.ZodObject;
  type: string;
  version: number;
  plans: readonly (SealPlan | undefined)[];
}>;

const TYPE = /^nexusmon\.([a-z]+)\.([A-Z][A-Za-z]+)\.v([1-9][0-9]{0,4})$/;

export type TypeParts = Readonly<{ context: string; name: string; version: number }>;
export const parseType = (type: string): TypeParts | undefined => {
  const [, context, name, version] = TYPE.exec(type) ?? [];
  return context && name ? { context, name, version: Number(version) } : undefined;
};

const eventType = (context: string, name: string, history: EventHistory): EventType => {
  const version = history.versions.length;
  const type = `nexusmon.${context}.${name}.v${version}`;
  if (!parseType(type)) throw new TypeError(`${type} cannot be the type of an event`);
  if (history.upcasts.length !== version - 1)
    throw new TypeError(`${type} needs ${version - 1} upcasts, one from each version to the next`);
  const plans = history.versions.map((schema, index) => sealPlan(`${context}.${name}.v${index + 1}`, schema));
  return { history, schema: history.versions[version - 1] ?? history.versions[0], type, version, plans };
};

/** Of each catalogue once: in one process many contexts write and read the same. */
const known = new WeakMap<Catalogue, ReadonlyMap<string, EventType>>();
const typesOf = (context: string, catalogue: Catalogue): ReadonlyMap<string, EventType> => {
  const types =
    known.get(catalogue) ??
    new Map(Object.entries(catalogue).map(([name, history]) => [name, eventType(context, name, history)]));
  known.set(catalogue, types);
  return types;
};

export class EventCodec {
  private readonly types: ReadonlyMap<string, EventType>;
  private readonly source: string;

  constructor(
    readonly context: string,
    catalogue: Catalogue,
  ) {
    this.source = `/nexusmon/${context}`;
    this.types = typesOf(context, catalogue);
  }

  /**
   * The bytes of an event's canonical text, and the event as every later reader will see it. `nth` counts the events of
   * its command, `index` those of its commit.
   */
  encode(event: Message, nth: number, index: number, stamp: Stamp): { bytes: Buffer; recorded: RecordedEvent } {
    const type = this.types.get(event.type);
    if (!type) throw new EventInvalid(`${this.context} has no event ${event.type} in its contract`);
    const parsed = type.schema.safeParse(event.data);
    if (!parsed.success)
      throw new EventInvalid(`${type.type} is not as its contract says:\n${z.prettifyError(parsed.error)}`);
    const data: Data = parsed.data;
    const recorded: { -readonly [Field in keyof RecordedEvent]: RecordedEvent[Field] } = {
      specversion: '1.0',
      id: eventId(stamp.command_id, nth),
      source: this.source,
      type: type.type,
      subject: stamp.id,
      time: event.time,
      datacontenttype: 'application/json',
      actor: event.actor,
      correlationid: stamp.correlation_id,
      causationid: stamp.command_id,
      name: event.type,
      version: type.version,
      index,
      data,
    };
    if (stamp.traceparent !== undefined) recorded.traceparent = stamp.traceparent;
    return { bytes: Buffer.from(envelopeText(recorded, canonical(seal(type, data, stamp)))), recorded };
  }

  /** The keys that `decode` needs for this event. */
  keyIds(stored: CloudEvent): Iterable<string> {
    const { plan } = this.find(stored.type);
    return plan ? sealedKeyIds(plan, stored.data) : [];
  }

  /** `secret` answers with a key, or undefined for one that was destroyed. */
  decode(
    stored: CloudEvent,
    index: number,
    subject: string,
    secret: (key_id: string) => KeyObject | undefined,
  ): RecordedEvent {
    const { type, plan, name, version } = this.find(stored.type);
    let data: Data = stored.data;
    if (plan)
      data = openData(plan, data, (sealed) => {
        const key = secret(sealed.slice(0, sealed.indexOf('.')));
        return key && openText(sealed, key, subject);
      }) as Data;
    for (const upcast of type.history.upcasts.slice(version - 1)) data = upcast(data);
    return { ...stored, name, version, index, data };
  }

  private find(text: string) {
    const parts = parseType(text);
    const type = parts && parts.context === this.context ? this.types.get(parts.name) : undefined;
    if (!parts || !type || parts.version > type.version) throw new UnknownEventVersion(text);
    return { type, plan: type.plans[parts.version - 1], name: parts.name, version: parts.version };
  }
}

type Envelope = Omit<CloudEvent, 'data'>;

const seal = (type: EventType, data: Data, { key, subject }: Stamp): unknown => {
  const plan = type.plans[type.version - 1];
  if (!plan) return data;
  return sealData(plan, data, (text) => {
    if (!key) throw new EventInvalid(`${type.type} has sealed fields, and ${subject} has no key to seal them with`);
    return sealText(text, key.key_id, key.secret, subject);
  });
};

const quote = JSON.stringify as (text: string) => string;

/** The canonical text of a CloudEvent, written in the order that sorting its fields gives. */
const envelopeText = (event: Envelope, data: string): string =>
  `{"actor":${canonical(event.actor)},"causationid":${quote(event.causationid)},"correlationid":` +
  `${canonical(event.correlationid)},"data":${data},"datacontenttype":"application/json","id":${quote(event.id)},` +
  `"source":${quote(event.source)},"specversion":"1.0","subject":${quote(event.subject)},"time":${quote(event.time)},` +
  (event.traceparent === undefined ? '' : `"traceparent":${canonical(event.traceparent)},`) +
  `"type":${quote(event.type)}}`;

/** Opens what was stored; keys that are not at hand are fetched together. */
export const openAll = async (
  keyring: Keyring,
  key_ids: Iterable<string>,
): Promise<(key_id: string) => KeyObject | undefined> => {
  const secrets = new Map<string, KeyObject | undefined>();
  const missing: string[] = [];
  for (const key_id of key_ids) {
    const found = keyring.peek(key_id);
    if (found) secrets.set(key_id, found.key);
    else missing.push(key_id);
  }
  if (missing.length > 0)
    await Promise.all(missing.map(async (key_id) => secrets.set(key_id, await keyring.get(key_id))));
  return (key_id) => secrets.get(key_id);
};
