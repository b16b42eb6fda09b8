package notices

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"bahi/domain"
	"bahi/intake"
)

// The parts of an AsyncAPI 3.0 document that are needed here. Maps are written in
// order of their keys.
type (
	asyncAPI struct {
		AsyncAPI   string             `yaml:"asyncapi"`
		Info       info               `yaml:"info"`
		Servers    map[string]host    `yaml:"servers"`
		Channels   map[string]channel `yaml:"channels"`
		Operations map[string]op      `yaml:"operations"`
		Components components         `yaml:"components"`
	}
	info struct {
		Title       string `yaml:"title"`
		Version     string `yaml:"version"`
		Description string `yaml:"description"`
	}
	host struct {
		Host        string `yaml:"host"`
		Protocol    string `yaml:"protocol"`
		Description string `yaml:"description"`
	}
	channel struct {
		Address     *string              `yaml:"address"` // null: the sender of a request says where
		Description string               `yaml:"description"`
		Parameters  map[string]reference `yaml:"parameters,omitempty"`
		Messages    map[string]reference `yaml:"messages"`
	}
	op struct {
		Action   string      `yaml:"action"`
		Summary  string      `yaml:"summary"`
		Channel  reference   `yaml:"channel"`
		Messages []reference `yaml:"messages"`
		Reply    *reply      `yaml:"reply,omitempty"`
	}
	reply struct {
		Channel  reference   `yaml:"channel"`
		Messages []reference `yaml:"messages"`
	}
	reference struct {
		Ref string `yaml:"$ref"`
	}
	components struct {
		Parameters map[string]parameter `yaml:"parameters"`
		Messages   map[string]envelope  `yaml:"messages"`
	}
	parameter struct {
		Description string   `yaml:"description"`
		Examples    []string `yaml:"examples"`
	}
	envelope struct {
		Summary     string    `yaml:"summary"`
		ContentType string    `yaml:"contentType,omitempty"`
		Headers     *schema   `yaml:"headers,omitempty"`
		Payload     *schema   `yaml:"payload"`
		Examples    []example `yaml:"examples,omitempty"`
	}
	example struct {
		Payload any `yaml:"payload"`
	}
	schema struct {
		Type        string             `yaml:"type,omitempty"`
		Format      string             `yaml:"format,omitempty"`
		Description string             `yaml:"description,omitempty"`
		Const       string             `yaml:"const,omitempty"`
		Enum        []string           `yaml:"enum,omitempty"`
		Pattern     string             `yaml:"pattern,omitempty"`
		Minimum     *int               `yaml:"minimum,omitempty"`
		MinLength   int                `yaml:"minLength,omitempty"`
		MaxLength   *int               `yaml:"maxLength,omitempty"`
		Items       *schema            `yaml:"items,omitempty"`
		Required    []string           `yaml:"required,omitempty"`
		Properties  map[string]*schema `yaml:"properties,omitempty"`
	}
)

// TestAsyncAPI: docs/asyncapi.yaml is what the code says. Run it with -update to
// write the document.
func TestAsyncAPI(t *testing.T) {
	t.Parallel()
	d := describe(t)
	var text bytes.Buffer
	text.WriteString("# Made from the code: go test ./notices -run AsyncAPI -update\n")
	e := yaml.NewEncoder(&text)
	e.SetIndent(2)
	if err := e.Encode(d); err != nil {
		t.Fatal(err)
	}
	golden(t, "../docs/asyncapi.yaml", text.String())

	var read map[string]any
	if err := yaml.Unmarshal(text.Bytes(), &read); err != nil {
		t.Fatal(err)
	}
	if n := resolve(t, read, read); n < 30 {
		t.Errorf("only %d references were found", n)
	}
}

// resolve follows every reference of a document.
func resolve(t *testing.T, root, at any) (found int) {
	t.Helper()
	switch at := at.(type) {
	case map[string]any:
		if ref, ok := at["$ref"].(string); ok {
			var target any = root
			for name := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
				members, _ := target.(map[string]any)
				if target, ok = members[name]; !ok {
					t.Errorf("%s leads nowhere", ref)
					break
				}
			}
			return 1
		}
		for _, member := range at {
			found += resolve(t, root, member)
		}
	case []any:
		for _, element := range at {
			found += resolve(t, root, element)
		}
	}
	return found
}

// describe says what there is on NATS for others, as the code has it: subjects,
// headers and codes by what it exports, notices by the types that they are made of.
func describe(t *testing.T) asyncAPI {
	t.Helper()
	d := asyncAPI{
		AsyncAPI: "3.0.0",
		Info: info{
			Title:   "Bahi on NATS",
			Version: "1.0.0",
			Description: "What a vaccination ledger receives from centres, and what it sends to them and to portals. It is told from the ledger's side: " +
				"centres send what it receives, and listen to what it sends. How to connect is in CENTRES.md and NOTICES.md, submissions and verdicts in FORMATS.md, codes in CODES.md.",
		},
		Servers: map[string]host{"nats": {"ledger.example:4222", "nats",
			"Each centre and each portal signs in with an nkey of its own and may use its own subjects alone. A centre's custom inbox prefix is " +
				templated(intake.InboxPrefix(208, "208001")) + "."}},
		Channels: map[string]channel{}, Operations: map[string]op{},
		Components: components{
			Parameters: map[string]parameter{
				"district": {"Code in the Local Government Directory.", []string{"208"}},
				"centre":   {"The centre's code: 1 to 32 Latin letters, digits, - and _.", []string{"208001"}},
				"inbox":    {"Of the client's choice: tokens of Latin letters, digits, - and _, at most 100 bytes in all.", []string{"3f9a"}},
			},
			Messages: map[string]envelope{},
		},
	}
	d.doors(t)
	d.notices()
	return d
}

// templated writes the subject of the example centre with parameters.
func templated(subject string) string {
	return strings.NewReplacer("208001", "{centre}", "208", "{district}").Replace(subject)
}

func ref(parts ...string) reference { return reference{"#/" + strings.Join(parts, "/")} }

// add puts a channel into the document with the messages on it.
func (d *asyncAPI) add(name, address, description string, messages ...string) {
	c := channel{Description: description, Messages: map[string]reference{}}
	if address != "" {
		c.Address = &address
	}
	for parameter := range d.Components.Parameters {
		if strings.Contains(address, "{"+parameter+"}") {
			if c.Parameters == nil {
				c.Parameters = map[string]reference{}
			}
			c.Parameters[parameter] = ref("components", "parameters", parameter)
		}
	}
	for _, m := range messages {
		c.Messages[m] = ref("components", "messages", m)
	}
	d.Channels[name] = c
}

func on(channel string, messages ...string) (refs []reference) {
	for _, m := range messages {
		refs = append(refs, ref("channels", channel, "messages", m))
	}
	return refs
}

// doors describes what centres send and are answered.
func (d *asyncAPI) doors(t *testing.T) {
	t.Helper()
	bundle, err := intake.Subject(208, "208001")
	if err != nil {
		t.Fatal(err)
	}
	verdicts, err := intake.VerdictsSubject(208, "208001")
	if err != nil {
		t.Fatal(err)
	}
	uuid := &schema{Type: "string", Format: "uuid", Description: "Names the bundle, by the centre's choice. Its verdicts are kept under this id for 30 days."}
	inbox := &schema{
		Type: "string", Pattern: `^_INBOX_centre\.[0-9]+\.[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$`,
		Description: "An inbox of the centre's own, where the answer is sent to. The NATS reply subject takes JetStream's receipt.",
	}
	if own := intake.InboxPrefix(208, "208001") + ".3f9a"; !regexp.MustCompile(inbox.Pattern).MatchString(own) {
		t.Errorf("%s is no inbox", own)
	}
	empty := 0
	messages := d.Components.Messages
	messages["bundle"] = envelope{
		Summary: fmt.Sprintf("1 to %d submissions, sealed to the ledger's intake key", intake.BundleSize), ContentType: "application/octet-stream",
		Headers: object(nil, map[string]*schema{intake.HeaderBundle: uuid, intake.HeaderReply: inbox}),
		Payload: binary("Byte 0: suite 1, HPKE (RFC 9180) with MLKEM768-X25519, HKDF-SHA-256, AES-256-GCM. Bytes 1 to 8: the first of SHA-256 of the intake key. " +
			"Then the encapsulation, 1120 bytes, and the ciphertext, 16 bytes longer than the bundle. HPKE's info is \"bahi bundle 1\", bytes 0 to 8, and the subject. " +
			"What is sealed is NDJSON: one submission a line, in UTF-8."),
	}
	messages["receipt"] = envelope{
		Summary: "JetStream's acknowledgement: the bundle is on disk and will be taken in", ContentType: "application/json",
		Payload: object([]string{"stream", "seq"}, map[string]*schema{"stream": {Type: "string"}, "seq": {Type: "integer"}}),
	}
	messages["verdicts"] = envelope{
		Summary: "A verdict for each line of a bundle, sealed to its sender", ContentType: "application/octet-stream",
		Payload: binary("Byte 0: suite 1, AES-256-GCM. Then the nonce, 12 bytes, and the ciphertext with its tag, under the key that HPKE's context of the bundle exports for \"bahi reply 1\", 32 bytes. " +
			"What is sealed is NDJSON: one verdict a line, in the order of the bundle. Codes of rejected submissions: " + strings.Join(constants(t, "../domain", "Code", "Code"), ", ") + "."),
	}
	codes := append(constants(t, "../intake", "BundleCode", "Bundle"), constants(t, "../intake", "BundleCode", "Answer")...)
	messages["noVerdicts"] = envelope{
		Summary: "Why there are no verdicts of a bundle",
		Headers: object([]string{intake.HeaderCode}, map[string]*schema{intake.HeaderCode: {Type: "string", Enum: codes}}),
		Payload: &schema{Type: "string", MaxLength: &empty},
	}
	messages["keyRequest"] = envelope{Summary: "Asks for the intake key", Payload: &schema{Type: "string", MaxLength: &empty}}
	messages["key"] = envelope{
		Summary: "The ledger's intake key", ContentType: "application/octet-stream",
		Payload: binary("An HPKE public key, MLKEM768-X25519, 1216 bytes. Every freeze changes it."),
	}
	messages["verdictsRequest"] = envelope{
		Summary: "Asks for the verdicts of a bundle that was sent earlier", ContentType: "text/plain",
		Headers: object([]string{intake.HeaderReply}, map[string]*schema{intake.HeaderReply: inbox}),
		Payload: &schema{Type: "string", Format: "uuid", Description: "The bundle's id."},
	}

	d.add("bundles", templated(bundle), "Bundles of a centre, of which JetStream keeps each until it is taken in.", "bundle")
	d.add("intakeKey", intake.KeySubject, "Requests for the intake key. Who can answer in the ledger's place can read the bundles.", "keyRequest")
	d.add("keptVerdicts", templated(verdicts), "Requests for verdicts that are kept.", "verdictsRequest")
	d.add("inbox", templated(intake.InboxPrefix(208, "208001"))+".{inbox}", "Where a centre hears what becomes of its bundles: it names the inbox in the header "+intake.HeaderReply+".", "verdicts", "noVerdicts")
	d.add("replies", "", "The NATS reply subject of a request.", "receipt", "key")
	inInbox := &reply{ref("channels", "inbox"), on("inbox", "verdicts", "noVerdicts")}
	d.Operations["takeIn"] = op{"receive", "Take in a bundle, and answer in the centre's inbox.", ref("channels", "bundles"), on("bundles", "bundle"), inInbox}
	d.Operations["giveReceipt"] = op{"send", "JetStream confirms that it has a bundle.", ref("channels", "replies"), on("replies", "receipt"), nil}
	d.Operations["giveKey"] = op{"receive", "Answer with the intake key.", ref("channels", "intakeKey"), on("intakeKey", "keyRequest"), &reply{ref("channels", "replies"), on("replies", "key")}}
	d.Operations["giveVerdicts"] = op{"receive", "Answer in the centre's inbox with the verdicts of a bundle, or with why there are none.", ref("channels", "keptVerdicts"), on("keptVerdicts", "verdictsRequest"), inInbox}
}

func binary(description string) *schema {
	return &schema{Type: "string", Format: "binary", Description: description}
}

func object(required []string, properties map[string]*schema) *schema {
	return &schema{Type: "object", Required: required, Properties: properties}
}

// constants reads the constants of a type from a package's source, those with names
// that begin so.
func constants(t *testing.T, dir, kind, prefix string) (values []string) {
	t.Helper()
	files, err := filepath.Glob(dir + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if of, ok := spec.Type.(*ast.Ident); ok && of.Name == kind && strings.HasPrefix(spec.Names[0].Name, prefix) && len(spec.Values) == 1 {
				value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				values = append(values, value)
			}
			return true
		})
	}
	if len(values) < 2 {
		t.Fatalf("%s has no constants of the type %s", dir, kind)
	}
	return values
}

// samples are a notice of each kind, recorded at a time.
func samples() []Event {
	day := func(s string) domain.Day { return domain.DayOf(heading(0, 0, s).At) }
	request, freeze := uuidOf(7, 1), uuidOf(11, 1)
	events := []Event{}
	for i, n := range []domain.Notice{
		{Kind: domain.NoticeFreezeAnnounced, District: 208, Day: day("2021-03-04"), Freeze: freeze, Groups: domain.Groups()[:1], Mode: domain.Handover, Order: "DL/2021/117", People: 214},
		{Kind: domain.NoticeCertificateVoid, District: 212, Day: day("2021-03-04"), Dose: 2, Vaccine: domain.Covaxin, Request: request},
		{Kind: domain.NoticeReversalRequested, District: 208, Day: day("2021-03-01"), Request: request, From: domain.Full, To: domain.Partial, DueFrom: day("2021-03-04")},
		{Kind: domain.NoticeReversalDue, District: 208, Day: day("2021-03-01"), Request: request, From: domain.Full, To: domain.Partial, DueFrom: day("2021-03-04")},
		{Kind: domain.NoticeReversalDecided, District: 208, Day: day("2021-03-04"), Request: request, From: domain.Full, To: domain.Partial, Approved: true},
	} {
		id := fmt.Sprintf("1207-%d-0", i)
		if n.Kind == domain.NoticeReversalDue {
			id = "due-" + request.String()
		}
		events = append(events, event(n, id, heading(0, 0, "2021-03-04T18:00:00+05:30").At))
	}
	return append(events, changed(208, span{day("2021-02-16"), day("2021-03-04")}, "counts-1207-208", heading(0, 0, "2021-03-04T18:00:00+05:30").At))
}

// notices describes them, with the sample of each kind.
func (d *asyncAPI) notices() {
	for i, e := range samples() {
		kind := Kinds[i]
		e.Source = "bahi/8a90af2d"
		payload := of(reflect.TypeFor[Event]())
		payload.Properties["data"] = of(reflect.TypeOf(e.Data))
		payload.Properties["type"].Const = e.Type
		payload.Properties["specversion"].Const = e.SpecVersion
		payload.Properties["datacontenttype"].Const = e.DataContentType
		payload.Properties["time"].Format = "date-time"
		payload.Properties["source"].Format = "uri-reference"
		var decoded any
		_ = yaml.Unmarshal(e.encode(), &decoded) // JSON is YAML
		name := string(kind)
		d.Components.Messages[name] = envelope{
			Summary: "A CloudEvent 1.0: " + e.Type, ContentType: ContentType,
			Headers: object([]string{"Content-Type"}, map[string]*schema{
				"Content-Type": {Type: "string", Const: ContentType},
				"Nats-Msg-Id":  {Type: "string", Description: "the subject and the id: what JetStream knows a repeated message by"},
			}),
			Payload: payload, Examples: []example{{decoded}},
		}
		d.add(name, strings.Replace(Subject(208, kind), "208", "{district}", 1), "In the stream "+streamName+"; each notice is there once.", name)
		d.Operations["tell_"+name] = op{Action: "send", Summary: "Tell others: " + strings.ReplaceAll(name, "_", " ") + ".", Channel: ref("channels", name), Messages: on(name, name)}
	}
}

// of describes a type as it is written in JSON.
func of(t reflect.Type) *schema {
	switch t {
	case reflect.TypeFor[domain.District]():
		one := 1
		return &schema{Type: "integer", Minimum: &one}
	case reflect.TypeFor[domain.Day]():
		return &schema{Type: "string", Format: "date"}
	case reflect.TypeFor[domain.UUID]():
		return &schema{Type: "string", Format: "uuid"}
	case reflect.TypeFor[domain.Group]():
		return enum[domain.Group]()
	case reflect.TypeFor[domain.Status]():
		return enum[domain.Status]()
	case reflect.TypeFor[domain.Vaccine]():
		return enum[domain.Vaccine]()
	case reflect.TypeFor[domain.FreezeMode]():
		return enum[domain.FreezeMode]()
	}
	switch t.Kind() {
	case reflect.String:
		return &schema{Type: "string", MinLength: 1}
	case reflect.Bool:
		return &schema{Type: "boolean"}
	case reflect.Int64:
		return &schema{Type: "integer"}
	case reflect.Slice:
		return &schema{Type: "array", Items: of(t.Elem())}
	case reflect.Interface:
		return &schema{}
	case reflect.Struct:
		s := object(nil, map[string]*schema{})
		for i := range t.NumField() {
			f := t.Field(i)
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			member := of(f.Type)
			member.Description = f.Tag.Get("doc")
			s.Properties[name] = member
			if options == "" {
				s.Required = append(s.Required, name)
			}
		}
		return s
	}
	panic("no schema for " + t.String())
}

// enum lists the codes of a type.
func enum[T interface {
	~uint8
	fmt.Stringer
}]() *schema {
	s := &schema{Type: "string"}
	for v := T(1); v.String() != ""; v++ {
		s.Enum = append(s.Enum, v.String())
	}
	return s
}

// TestNoticesAreAsDescribed: every notice of the story holds to the document's schema
// of its kind, and so does every sample.
func TestNoticesAreAsDescribed(t *testing.T) {
	t.Parallel()
	d := describe(t)
	check := func(kind string, raw []byte) {
		t.Helper()
		var v any
		if err := yaml.Unmarshal(raw, &v); err != nil {
			t.Fatal(err)
		}
		d.Components.Messages[kind].Payload.holds(t, kind, v)
	}
	for i, e := range samples() {
		e.Source = "bahi/8a90af2d"
		check(string(Kinds[i]), e.encode())
	}
	l := openLedger(t, nil)
	f := openFollower(t, l, Options{})
	s := serve(t, f)
	submit(t, l, story()...)
	expect(t, l).told(t, f)
	s.end(t)
	for _, n := range stored(t, f) {
		if id := n.headers.Get("Nats-Msg-Id"); id != n.subject+" "+n.ID {
			t.Errorf("JetStream knows %s as %q", n.ID, id)
		}
		check(n.subject[strings.LastIndexByte(n.subject, '.')+1:], n.raw)
	}
	if key := l.Vault().IntakePublicKey(); !strings.Contains(d.Components.Messages["key"].Payload.Description, fmt.Sprintf(" %d bytes", len(key))) {
		t.Errorf("the intake key has %d bytes", len(key))
	}
}

// holds checks a value against a schema, as far as these schemas go.
func (s *schema) holds(t *testing.T, at string, v any) {
	t.Helper()
	bad := func(why string) { t.Errorf("%s: %s: %v", at, why, v) }
	switch s.Type {
	case "object":
		members, ok := v.(map[string]any)
		if !ok {
			bad("no object")
		}
		for _, name := range s.Required {
			if _, ok := members[name]; !ok {
				bad("without " + name)
			}
		}
		for name, member := range members {
			if s.Properties[name] == nil {
				bad("with " + name)
				continue
			}
			s.Properties[name].holds(t, at+"."+name, member)
		}
	case "array":
		elements, ok := v.([]any)
		if !ok {
			bad("no array")
		}
		for _, element := range elements {
			s.Items.holds(t, at+"[]", element)
		}
	case "integer":
		if n, ok := v.(int); !ok || s.Minimum != nil && n < *s.Minimum {
			bad("no such number")
		}
	case "boolean":
		if _, ok := v.(bool); !ok {
			bad("neither true nor false")
		}
	case "string":
		text, ok := v.(string)
		if !ok || len(text) < s.MinLength || s.Const != "" && text != s.Const || s.Enum != nil && !strings.Contains(" "+strings.Join(s.Enum, " ")+" ", " "+text+" ") {
			bad("no such text")
		}
		if _, err := domain.ParseUUID(text); s.Format == "uuid" && err != nil {
			bad("no UUID")
		}
		if _, err := domain.ParseDay(text); s.Format == "date" && err != nil {
			bad("no day")
		}
	default:
		bad("no type")
	}
}
