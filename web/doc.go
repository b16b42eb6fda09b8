// Package web is the ledger's door for HTTP: a [Server] for those who hold a
// token, and a [Client] with which a program elsewhere calls the ledger as if it
// were its own.
//
// The routes, their formats and who may call them stand in the OpenAPI document
// that the server gives out at /openapi.json; it is made from the code. What is
// one value is JSON. What is many, or takes long, is NDJSON that flows in
// constant memory: submissions come in and verdicts go out on the same request,
// while the rest of it is still being sent. Errors are problem+json (RFC 9457)
// with a stable code; in a stream that has begun the same problem is its last
// line, {"problem":{…}}.
//
// Who asks is told by a bearer token, or by the client certificate of a registered
// centre; one table says which role may call what, and what a token is bound to, a
// district, a centre, an officer, bounds every answer. A request that changes
// something may be sent again under an Idempotency-Key.
//
// What the server and the rooms below count stands in a registry of its own, for
// Prometheus; whether the ledger is ready is told to anybody, once a second at most.
//
// The log tells the pattern of a route and never the path, for a path may hold a
// reference number. Everything is bounded: lines, bodies, headers, connections,
// streams, and the time that anybody may keep the other side waiting.
package web
