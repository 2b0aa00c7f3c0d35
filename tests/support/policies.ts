// Who may ask, as it is meant to be. A route that is not here, or is declared otherwise, fails a test: whoever adds one
// says here whom it is for, and the routes are then tried with every identity.

export type Scope = 'missions:read' | 'missions:write' | 'vault:read' | 'vault:write' | 'audit:export' | 'admin';

export const OPERATOR = 'operator';
export const PUBLIC = 'public';
export const BY_KEY = 'operator_key';
/** `operator`: a session; scopes: a session, or an API token with one of them; `operator_key`: the key in the body. */
export const POLICIES: Readonly<Record<string, string | readonly Scope[]>> = {
  'GET /docs': PUBLIC,
  'GET /health': PUBLIC,
  'GET /openapi.json': PUBLIC,
  'GET /ready': PUBLIC,
  'GET /v1/health': PUBLIC,
  'POST /v1/auth/login': PUBLIC,
  'POST /v1/auth/logout': OPERATOR,
  'GET /v1/auth/sessions': OPERATOR,
  'DELETE /v1/auth/sessions/{session_id}': OPERATOR,
  'GET /v1/auth/tokens': OPERATOR,
  'POST /v1/auth/tokens': OPERATOR,
  'DELETE /v1/auth/tokens/{token_id}': OPERATOR,
  'GET /v1/approvals': ['missions:read'],
  'GET /v1/approvals/{approval_id}': ['missions:read'],
  'POST /v1/approvals/{approval_id}/deny': OPERATOR,
  'POST /v1/approvals/{approval_id}/grant': OPERATOR,
  'POST /v1/approvals/{approval_id}/withdraw': OPERATOR,
  'GET /v1/engine/missions': ['missions:read'],
  'POST /v1/engine/missions': ['missions:write'],
  'GET /v1/engine/missions/{mission_id}': ['missions:read'],
  'GET /v1/engine/missions/{mission_id}/events': ['missions:read'],
  'GET /v1/engine/missions/{mission_id}/tasks': ['missions:read'],
  'POST /v1/engine/missions/{mission_id}/approve': OPERATOR,
  'POST /v1/engine/missions/{mission_id}/cancel': ['missions:write'],
  'POST /v1/engine/missions/{mission_id}/deny': OPERATOR,
  'POST /v1/engine/missions/{mission_id}/run': ['missions:write'],
  'GET /v1/evolution': ['missions:read'],
  'GET /v1/evolution/history': ['missions:read'],
  'GET /v1/evolution/missions': ['missions:read'],
  'GET /v1/evolution/tree': ['missions:read'],
  'GET /v1/governance/capabilities': ['missions:read'],
  'POST /v1/governance/capabilities/{capability}/grant': OPERATOR,
  'POST /v1/governance/capabilities/{capability}/revoke': OPERATOR,
  'GET /v1/events': ['missions:read', 'vault:read', 'admin'],
  'GET /v1/nexusmon/organism/status': ['missions:read'],
  'GET /v1/reviews': ['missions:read'],
  'POST /v1/reviews/{review_id}': OPERATOR,
  'GET /v1/system/health': ['admin'],
  'GET /v1/system/projections': ['admin'],
  'GET /v1/system/projections/{projection}': ['admin'],
  'POST /v1/system/projections/{projection}/rebuild': OPERATOR,
  'GET /v1/system/templates': ['missions:read'],
  'GET /v1/vault/artifacts': ['vault:read'],
  'GET /v1/vault/artifacts/{artifact_id}': ['vault:read'],
  'GET /v1/vault/artifacts/{artifact_id}/content': ['vault:read'],
  'GET /v1/vault/artifacts/{artifact_id}/lineage': ['vault:read'],
  'GET /v1/vault/artifacts/{artifact_id}/versions': ['vault:read'],
  'GET /v1/workers': ['missions:read'],
};
