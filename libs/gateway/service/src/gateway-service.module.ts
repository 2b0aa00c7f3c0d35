import { Module } from '@nestjs/common';
import { PlatformModule } from '@nexusmon/runtime';
import { GatewayServer } from './gateway.server.js';

/** The surface, and the context `access` that lives in it. */
@Module({ imports: [PlatformModule.forContext('access')], providers: [GatewayServer] })
export class GatewayServiceModule {}
