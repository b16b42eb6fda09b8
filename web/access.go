package web

import (
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"bahi/access"
	"bahi/vault"
)

// The operations, by the ids that the OpenAPI document gives them.
const (
	opSubmit            = "submit"
	opCounts            = "counts"
	opStatement         = "count-statement"
	opExplain           = "explain-counts"
	opCountsDiff        = "diff-counts"
	opPerson            = "person"
	opLookUp            = "look-up"
	opNextDose          = "next-dose"
	opLookUpNextDose    = "look-up-next-dose"
	opFreeze            = "freeze"
	opFreezes           = "freezes"
	opReceipt           = "freeze-receipt"
	opReversals         = "reversals"
	opRequestReversal   = "request-reversal"
	opDecideReversal    = "decide-reversal"
	opAuthorityKey      = "adopt-authority-key"
	opEvents            = "events"
	opAudit             = "audit"
	opAccessAudit       = "access-audit"
	opProjections       = "projections"
	opRebuild           = "rebuild-projection"
	opWatchRebuild      = "watch-rebuild"
	opStopRebuild       = "stop-rebuild"
	opVerifyProjections = "verify-projections"
	opLedger            = "ledger"
	opVerifyLedger      = "verify-ledger"
	opProof             = "proof"
	opIntakeKey         = "intake-key"
	opTokens            = "tokens"
	opIssueToken        = "issue-token"
	opRevokeToken       = "revoke-token"
	opUnlockToken       = "unlock-token"
	opCentres           = "centres"
	opAddCentre         = "add-centre"
	opRemoveCentre      = "remove-centre"
	opQuarantine        = "quarantine"
	opOpenQuarantined   = "open-quarantined"
	opRetryQuarantined  = "retry-quarantined"
	opDropQuarantined   = "drop-quarantined"
	opMetrics           = "metrics"
	opHealth            = "health"
	opReady             = "readiness"
)

// rule says who may call an operation.
type rule struct {
	roles []string
	// within says that the operation keeps to the district of a token that is bound
	// to one. Such a token may call nothing else: what it asked of a whole state
	// would be answered.
	within bool
}

const (
	centre    = vault.RoleCentre
	officer   = vault.RoleOfficer
	analyst   = vault.RoleAnalyst
	operator  = vault.RoleOperator
	authority = vault.RoleAuthority
	auditor   = vault.RoleAuditor
)

// rules say who may call what: no more than the office needs. What does not stand
// here nobody may call.
var rules = map[string]rule{
	opSubmit:            {roles: []string{centre, authority}, within: true},
	opCounts:            {roles: []string{officer, analyst, authority, auditor}, within: true},
	opStatement:         {roles: []string{officer, analyst, authority, auditor}, within: true},
	opExplain:           {roles: []string{officer, analyst, operator, authority, auditor}, within: true},
	opCountsDiff:        {roles: []string{officer, analyst, authority, auditor}, within: true},
	opPerson:            {roles: []string{officer}, within: true},
	opLookUp:            {roles: []string{officer}, within: true},
	opNextDose:          {roles: []string{centre, officer}, within: true},
	opLookUpNextDose:    {roles: []string{centre, officer}, within: true},
	opFreeze:            {roles: []string{authority}},
	opFreezes:           {roles: []string{officer, operator, authority, auditor}, within: true},
	opReceipt:           {roles: []string{officer, operator, authority, auditor}, within: true},
	opReversals:         {roles: []string{officer, authority}, within: true},
	opRequestReversal:   {roles: []string{centre, authority}, within: true},
	opDecideReversal:    {roles: []string{authority}},
	opAuthorityKey:      {roles: []string{authority}},
	opEvents:            {roles: []string{analyst, auditor}, within: true},
	opAudit:             {roles: []string{auditor}},
	opAccessAudit:       {roles: []string{auditor}},
	opProjections:       {roles: []string{operator}},
	opRebuild:           {roles: []string{operator}},
	opWatchRebuild:      {roles: []string{operator}},
	opStopRebuild:       {roles: []string{operator}},
	opVerifyProjections: {roles: []string{operator}},
	opLedger:            {roles: []string{operator, authority, auditor}},
	opVerifyLedger:      {roles: []string{operator, auditor}},
	opProof:             {roles: []string{operator, authority, auditor}},
	opIntakeKey:         {roles: vault.Roles(), within: true},
	opTokens:            {roles: []string{operator, authority, auditor}},
	opIssueToken:        {roles: []string{operator, authority}},
	opRevokeToken:       {roles: []string{operator, authority}},
	opUnlockToken:       {roles: []string{authority}},
	opCentres:           {roles: []string{operator, authority, auditor}},
	opAddCentre:         {roles: []string{operator, authority}},
	opRemoveCentre:      {roles: []string{operator, authority}},
	opQuarantine:        {roles: []string{officer, operator, auditor}, within: true},
	opOpenQuarantined:   {roles: []string{officer}, within: true},
	opRetryQuarantined:  {roles: []string{officer, operator}, within: true},
	opDropQuarantined:   {roles: []string{officer}, within: true},
	opMetrics:           {roles: []string{operator}},
	opHealth:            {roles: []string{anybody}},
	opReady:             {roles: []string{anybody}},
}

// anybody needs no token.
const anybody = "anybody"

func (r rule) open() bool { return slices.Contains(r.roles, anybody) }

// authorise lets a request through to its operation, or says why not. It runs
// before anything of the body is read.
func (s *Server) authorise(ctx huma.Context, next func(huma.Context)) {
	r, _ := humago.Unwrap(ctx)
	x := exchangeOf(r.Context())
	x.operation = ctx.Operation().OperationID
	rule := rules[x.operation]
	if rule.open() {
		next(ctx)
		return
	}
	who, err := s.identify(r)
	if x.who = who; err != nil {
		x.refuse(s.problem(r.Context(), err))
		return
	}
	if wait, ok := s.access.Take(who); !ok {
		x.refuse(tooMany(wait))
		return
	}
	switch {
	case !slices.Contains(rule.roles, who.Role):
		x.refuse(newProblem(http.StatusForbidden, codeForbidden, "this token's role ("+who.Role+") may not do this"))
	case who.District != 0 && !rule.within:
		x.refuse(newProblem(http.StatusForbidden, codeOtherDistrict, "this token is bound to a district, and what is asked for is not of one"))
	default:
		next(ctx)
	}
}

// identify tells who asks: by the bearer token, or without one by the client
// certificate that the connection showed.
func (s *Server) identify(r *http.Request) (access.Principal, error) {
	if token, ok := bearer(r); ok {
		return s.access.Bearer(r.Context(), token, isLocal(r))
	}
	if r.Header.Get("Authorization") == "" && r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		return s.access.Certificate(r.Context(), r.TLS.PeerCertificates[0])
	}
	return access.Principal{}, access.ErrUnknownToken
}

func bearer(r *http.Request) (token string, ok bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}

// forwarding are headers by which a proxy says that it speaks for somebody else.
var forwarding = []string{
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via",
	"Cf-Connecting-Ip", "True-Client-Ip", "X-Cluster-Client-Ip", "X-Original-Forwarded-For", "Fly-Client-Ip",
}

// isLocal tells whether the request comes from this machine: its TCP peer has a
// loopback address and does not speak for somebody else. Whom a proxy says it
// speaks for is not believed, only that it does.
func isLocal(r *http.Request) bool {
	for _, name := range forwarding {
		if len(r.Header.Values(name)) > 0 {
			return false
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	return err == nil && net.ParseIP(host).IsLoopback()
}
