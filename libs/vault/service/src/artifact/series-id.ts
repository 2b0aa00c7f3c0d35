import { keyedId } from '@nexusmon/event-log';

/** The id of the aggregate that all versions of a name belong to. */
export const seriesOf = (name: string): string => keyedId('srs', name);
