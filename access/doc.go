// Package access says who may what: whose bearer token or certificate a request
// carries, what role it has and what it is bound to, how often it may ask, and
// which centres may connect to NATS.
//
// A [Registry] follows the stream AUDIT. Everything that lets somebody in or shuts
// somebody out is an event there, on the subject audit.access: tokens issued,
// revoked, locked and unlocked, centres added and removed. So every node learns of
// it within a moment, an auditor sees it, and nothing else has to be kept. The text
// of a token is kept nowhere.
//
// There are two kinds of bearer token. Tokens that the registry issues are signed,
// last for hours, and are bound to a role, a district, a centre, an officer. The
// installation's role tokens lie beside the keys since the first start and are for
// this machine alone. Others come in as a [Verifier].
package access
