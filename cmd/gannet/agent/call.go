package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/gannet-ws/gannet/bench/load"
)

const (
	protocol    = 1
	mostCall    = 64 << 10 // bytes
	mostName    = 60       // letters of an agent's name
	leastToken  = 16       // bytes: who reads the broker can try tokens out, and must not get through
	nonceLength = 16
)

// DefaultPrefix is of the subjects.
const DefaultPrefix = "gannet.load"

// call is what a coordinator asks all agents.
type call struct {
	Protocol int    `json:"gannetLoad"`
	Run      string `json:"run"`
}

// offer is what an agent answers.
type offer struct {
	Protocol int    `json:"gannetLoad"`
	Version  string `json:"version"`
	Agent    string `json:"agent"` // nobody else's
	Name     string `json:"name"`  // for people
	Nonce    []byte `json:"nonce"`
	Busy     bool   `json:"busy,omitempty"` // with another run

	MaxRate        float64 `json:"maxRate"`
	MaxConnections int     `json:"maxConnections"`
}

// ErrToken is what is wrong with a token.
var ErrToken = errors.New("agents and their coordinator need a token that they alone know")

func checkToken(token []byte) error {
	if len(token) < leastToken {
		return fmt.Errorf("%w: %d bytes are too few, %d are the least; openssl rand -hex 16 makes one", ErrToken, len(token), leastToken)
	}
	return nil
}

var (
	anID     = regexp.MustCompile(`^[0-9A-Za-z]{1,64}$`)
	aSubject = regexp.MustCompile(`^[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*$`)
)

func checkPrefix(prefix string) error {
	if !aSubject.MatchString(prefix) {
		return fmt.Errorf("%q is no beginning of NATS subjects: write words of letters, digits, - and _ with dots between them, as in %s", prefix, DefaultPrefix)
	}
	return nil
}

// heard reads a message of whoever is on the broker.
func heard(b []byte, into any) error {
	if len(b) > mostCall {
		return fmt.Errorf("%d bytes", len(b))
	}
	return json.Unmarshal(b, into)
}

// said writes one of ours.
func said(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("agent: a message of ours cannot be written: " + err.Error())
	}
	return b
}

// readable is a name of somebody else's that a terminal can take.
func readable(name string) string {
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, ""))
	if letters := []rune(name); len(letters) > mostName {
		name = string(letters[:mostName])
	}
	if name == "" {
		return "without a name"
	}
	return name
}

// elsewhere is a generator on another machine.
type elsewhere struct{ load.Generator }

// Elsewhere tells Drive that its processors are not this machine's.
func (elsewhere) Elsewhere() bool { return true }
