package eventstore

import (
	"bytes"
	"fmt"
	"os"

	"github.com/nats-io/nats.go"
)

// SignIn returns what signs a connection in with a file: the seed of an nkey, as
// `bahi centre add --make-nkey` and the tool nk write it, or credentials (.creds) of
// a server that knows its users by JWTs. The server never sees what is in it.
func SignIn(file string) (nats.Option, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the credentials: %w", err)
	}
	defer clear(content)
	if bytes.Contains(content, []byte("BEGIN NATS USER JWT")) {
		return nats.UserCredentials(file), nil
	}
	option, err := nats.NkeyOptionFromSeed(file)
	if err != nil {
		return nil, fmt.Errorf("%s holds neither the seed of an nkey (SU…) nor credentials: %w", file, err)
	}
	return option, nil
}
