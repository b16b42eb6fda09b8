package access

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/nats-io/nkeys"

	"bahi/eventstore"
)

// NATSConfig is what an external NATS server has to be told so that it keeps the
// ledger and lets each centre do what is its own. The server reads it as a file;
// when centres come or go it is written anew and the server told to reload.
type NATSConfig struct {
	Listen           string   // host:port for everybody; "0.0.0.0:4222" when empty
	StoreDir         string   // of JetStream; "/data" when empty
	Certificate, Key string   // files of a TLS certificate and its key; without them there is no TLS
	Ledger           []string // public nkeys of the ledger's nodes; with none there is a user "ledger" whose password stands in the server's variable LEDGER_PASSWORD
	Operators        []string // public nkeys of those who look after the server: they see how the streams are, and nothing that is in them
	Centres          []Centre // those without an nkey are left out
	Portals          []Portal // who listens to notices
}

// What the ledger may not do even by mistake. (That messages of the two streams
// cannot be deleted or purged stands in the streams' own set-up, too, but the
// streams themselves could be.)
var ledgerMayNot = []string{
	"$JS.API.STREAM.DELETE.LEDGER", "$JS.API.STREAM.PURGE.LEDGER", "$JS.API.STREAM.MSG.DELETE.LEDGER",
	"$JS.API.STREAM.DELETE.AUDIT", "$JS.API.STREAM.PURGE.AUDIT", "$JS.API.STREAM.MSG.DELETE.AUDIT",
	"$JS.API.STREAM.SNAPSHOT.>", "$JS.API.STREAM.RESTORE.>",
}

// health is what an operator may ask: how large streams are and how far consumers
// are behind. STREAM.INFO is not there, for it lists subjects when it is asked to.
var health = []string{
	"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.CONSUMER.NAMES.*", "$JS.API.CONSUMER.LIST.*",
}

// operatorInbox is the custom inbox prefix of an operator's connection.
const operatorInbox = "_INBOX_operator"

// Check tells why there can be no such configuration.
func (c NATSConfig) Check() error {
	for _, key := range append(slices.Clone(c.Ledger), c.Operators...) {
		if !nkeys.IsValidPublicUserKey(key) {
			return errors.New("an nkey is the public key of a user, U and 55 letters and digits")
		}
	}
	if (c.Certificate == "") != (c.Key == "") {
		return errors.New("TLS needs a certificate and its key")
	}
	for _, text := range []string{c.Listen, c.StoreDir, c.Certificate, c.Key} {
		if strings.ContainsAny(text, "\"\\\n\r") {
			return errors.New("an address or path has quotes, backslashes or line ends in it")
		}
	}
	for _, centre := range c.Centres {
		if err := centre.check(); err != nil {
			return err
		}
	}
	named := map[string]bool{}
	for _, portal := range c.Portals {
		if err := portal.check(); err != nil {
			return err
		}
		if named[portal.Name] {
			return fmt.Errorf("two portals have the name %s, and would share a consumer", portal.Name)
		}
		named[portal.Name] = true
	}
	return nil
}

// Write writes the configuration, or nothing when there can be no such one.
func (c NATSConfig) Write(w io.Writer) error {
	if err := c.Check(); err != nil {
		return err
	}
	view := struct {
		NATSConfig
		LedgerMayNot, Health, Services []string
		OperatorInbox, CentreInboxes   string
		Centres                        []eventstore.CentreUser
	}{
		NATSConfig: c, LedgerMayNot: ledgerMayNot, Health: health, OperatorInbox: operatorInbox + ".>",
		Services: eventstore.CentreServices(), CentreInboxes: eventstore.CentreInboxes(),
	}
	if view.Listen == "" {
		view.Listen = "0.0.0.0:4222"
	}
	if view.StoreDir == "" {
		view.StoreDir = "/data"
	}
	for _, centre := range c.Centres {
		if centre.NKey != "" {
			view.Centres = append(view.Centres, eventstore.CentreUser{District: centre.District, Centre: centre.Code, NKey: centre.NKey})
		}
	}
	return natsConfig.Execute(w, view)
}

var natsConfig = template.Must(template.New("nats.conf").Funcs(template.FuncMap{
	"list": func(subjects []string) string {
		quoted := make([]string, len(subjects))
		for i, s := range subjects {
			quoted[i] = strconv.Quote(s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	},
}).Parse(`# NATS for bahi, as "bahi nats-config" writes it: JetStream on disk, every write
# flushed before it is acknowledged. Written anew when centres come or go, and
# taken by the server with: nats-server --signal reload
listen: "{{.Listen}}"
max_payload: 1MB
{{if .Certificate}}
tls {
  cert_file: "{{.Certificate}}"
  key_file: "{{.Key}}"
  min_version: "1.3"
}
{{end}}
# Say how much of the disk the streams may have (max_file_store: 500GB): without it
# that is three quarters of what is free when the server starts, less what it holds,
# and one day too little to start again.
jetstream {
  store_dir: "{{.StoreDir}}"
  sync_interval: always
}

# Whoever may publish at all may have the server publish its answer to any subject
# of the account. So nobody but the ledger is in the ledger's account: there a
# centre, or who asks how large a stream is, could write into the ledger.
# What crosses from one account to the other stands here, and an answer goes back
# to the account that asked. An account in which nobody is yet stands here, too: the
# server connects one that a reload brings only at the reload after it.
accounts {
  LEDGER {
    jetstream: enabled
    users: [
{{- if .Ledger}}{{range .Ledger}}
      { nkey: {{.}}, permissions: { publish: { deny: {{list $.LedgerMayNot}} } } }
{{- end}}{{else}}
      { user: ledger, password: $LEDGER_PASSWORD, permissions: { publish: { deny: {{list .LedgerMayNot}} } } }
{{- end}}
    ]
    exports: [
{{- range .Services}}
      { service: "{{.}}", accounts: [CENTRES] }
{{- end}}
      { stream: "{{.CentreInboxes}}", accounts: [CENTRES] }
{{- range .Health}}
      { service: "{{.}}", accounts: [HEALTH] }
{{- end}}
      { stream: "notice.*.*", accounts: [PORTALS] }
      { service: "$JS.API.CONSUMER.INFO.NOTICES.*", accounts: [PORTALS] }
      { service: "$JS.API.CONSUMER.MSG.NEXT.NOTICES.*", response_type: stream, accounts: [PORTALS] }
      { service: "$JS.ACK.NOTICES.>", accounts: [PORTALS] }
    ]
  }

  # Each centre publishes its own bundles and listens in its own inbox.
  CENTRES {
    users: [
{{- range .Centres}}
      { nkey: {{.NKey}}, permissions: { publish: {{list .Publish}}, subscribe: {{list .Subscribe}} } }
{{- end}}
    ]
    imports: [
{{- range .Services}}
      { service: { account: LEDGER, subject: "{{.}}" } }
{{- end}}
      { stream: { account: LEDGER, subject: "{{.CentreInboxes}}" } }
    ]
  }

  # Operators see how large streams are and who is behind, and nothing in them.
  HEALTH {
    users: [
{{- range .Operators}}
      { nkey: {{.}}, permissions: { publish: {{list $.Health}}, subscribe: ["{{$.OperatorInbox}}"] } }
{{- end}}
    ]
    imports: [
{{- range .Health}}
      { service: { account: LEDGER, subject: "{{.}}" } }
{{- end}}
    ]
  }

  # Portals hear the notices of their districts, live and each from a durable consumer
  # that is made for it. They must not make one: the server would push to any subject.
  PORTALS {
    users: [
{{- range .Portals}}
      { nkey: {{.NKey}}, permissions: {
          publish: {{list .Publish}}
          subscribe: {{list .Subscribe}} } }
{{- end}}
    ]
    imports: [
      { stream: { account: LEDGER, subject: "notice.*.*" } }
      { service: { account: LEDGER, subject: "$JS.API.CONSUMER.INFO.NOTICES.*" }, to: "bahi.API.CONSUMER.INFO.NOTICES.*" }
      { service: { account: LEDGER, subject: "$JS.API.CONSUMER.MSG.NEXT.NOTICES.*" }, to: "bahi.API.CONSUMER.MSG.NEXT.NOTICES.*" }
      { service: { account: LEDGER, subject: "$JS.ACK.NOTICES.>" } }
    ]
  }
}
`))
