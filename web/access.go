package web

import (
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"bahi/vault"
)

// The operations, by the ids that the OpenAPI document gives them.
const (
	opSubmit            = "submit"
	opCounts            = "counts"
	opPerson            = "person"
	opFreeze            = "freeze"
	opReversals         = "reversals"
	opEvents            = "events"
	opProjections       = "projections"
	opRebuild           = "rebuild-projection"
	opVerifyProjections = "verify-projections"
	opLedger            = "ledger"
	opVerifyLedger      = "verify-ledger"
	opAuthorityKey      = "adopt-authority-key"
	opAudit             = "audit"
	opIntakeKey         = "intake-key"
	opStatement         = "count-statement"
	opProof             = "proof"
	opReceipt           = "freeze-receipt"
	opHealth            = "health"
)

// allowed says which roles may call what, besides the authority, which may call
// everything. What does not stand here nobody may call.
var allowed = map[string][]string{
	opSubmit:            {vault.RoleCentre},
	opCounts:            {vault.RoleOfficer, vault.RoleAnalyst, vault.RoleAuditor},
	opPerson:            {vault.RoleOfficer},
	opFreeze:            {},
	opReversals:         {vault.RoleOfficer},
	opEvents:            {vault.RoleAnalyst},
	opProjections:       {vault.RoleOperator},
	opRebuild:           {vault.RoleOperator},
	opVerifyProjections: {vault.RoleOperator},
	opLedger:            {vault.RoleOperator, vault.RoleAuditor},
	opVerifyLedger:      {vault.RoleOperator, vault.RoleAuditor},
	opAuthorityKey:      {},
	opAudit:             {vault.RoleAuditor},
	opIntakeKey:         vault.Roles(),
	opStatement:         {vault.RoleOfficer, vault.RoleAnalyst, vault.RoleAuditor},
	opProof:             {vault.RoleOperator, vault.RoleAuditor},
	opReceipt:           {vault.RoleOfficer, vault.RoleOperator, vault.RoleAuditor},
	opHealth:            {anybody},
}

// anybody needs no token.
const anybody = "anybody"

func mayCall(role, operation string) bool {
	roles, ok := allowed[operation]
	return ok && (role == vault.RoleAuthority || slices.Contains(roles, role))
}

// authorise lets a request through to its operation, or answers 401 or 403. It
// runs before anything of the body is read.
func (s *Server) authorise(ctx huma.Context, next func(huma.Context)) {
	operation := ctx.Operation().OperationID
	if slices.Contains(allowed[operation], anybody) {
		next(ctx)
		return
	}
	r, _ := humago.Unwrap(ctx)
	role, ok := "", false
	if token, isBearer := bearer(r); isBearer {
		role, ok = s.roles(token)
	}
	x := exchangeOf(r.Context())
	switch {
	case !ok:
		x.refuse(newProblem(http.StatusUnauthorized, codeUnauthorised, "give the token of your role in the header: Authorization: Bearer …"))
	case !mayCall(role, operation):
		x.role = role
		x.refuse(newProblem(http.StatusForbidden, codeForbidden, "this token's role ("+role+") may not do this"))
	default:
		x.role = role
		next(ctx)
	}
}

func bearer(r *http.Request) (token string, ok bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}
