package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gannet-ws/gannet/engine/internal/handshake"
)

// ProtocolPolicy says what happens to a handshake for which no sub-protocol can be agreed on: none of Options.Protocols
// is among those that the client offers.
type ProtocolPolicy uint8

const (
	// ProtocolOptional answers without a sub-protocol. A client that offered some learns it there: a browser fails the
	// connection (RFC 6455 4.1, WHATWG WebSockets), most other clients go on.
	ProtocolOptional ProtocolPolicy = iota + 1
	// ProtocolMatching refuses (400) a client that offers some, and none of these; one that offers none is accepted without.
	ProtocolMatching
	// ProtocolRequired refuses (400) a client that offers none as well.
	ProtocolRequired
)

// entrance is who may come in, and which sub-protocol is spoken there: what Options say, or a route.
type entrance struct {
	options   string // what the user knows the place by where they are set, as "Options"
	origins   handshake.Patterns
	check     func(*Upgrade) bool // CheckOrigin
	protocols []string            // in order of preference
	policy    ProtocolPolicy
	mismatch  *handshake.Refusal // of ProtocolMatching and ProtocolRequired
}

func newEntrance(options string, origins []string, check func(*Upgrade) bool, protocols []string, policy ProtocolPolicy) (*entrance, error) {
	e := &entrance{options: options, check: check, protocols: slices.Clone(protocols), policy: policy}
	var err error
	if e.origins, err = handshake.ParsePatterns(origins...); err != nil {
		return nil, fmt.Errorf("gannet: %s: Origins: %w: %w", options, ErrSyntax, err)
	}
	if err := handshake.ValidProtocols(protocols); err != nil {
		return nil, fmt.Errorf("gannet: %s: Protocols: %w: %w", options, ErrSyntax, err)
	}
	switch {
	case policy > ProtocolRequired:
		return nil, fmt.Errorf("gannet: %s: ProtocolPolicy is %d, must be ProtocolOptional, ProtocolMatching or ProtocolRequired: %w", options, policy, ErrSyntax)
	case policy != 0 && len(protocols) == 0:
		return nil, fmt.Errorf("gannet: %s: ProtocolPolicy is set and Protocols is not: %w", options, ErrSyntax)
	}
	e.mismatch = refusal(400, "protocol", "this server speaks the sub-protocols "+strings.Join(protocols, ", ")+", and the request offers none of them")
	return e, nil
}

// admits applies Origins and the same-origin rule. A request without Origin is not a browser's, which is what the rule
// protects (RFC 6455 10.2); an empty Origin is none that could be listed, and only "*" admits it.
func (e *entrance) admits(req *handshake.Request, tls bool) bool {
	return req.Origin == nil || handshake.SameOrigin(req.Origin, req.Host, tls) || e.origins.Match(req.Origin)
}

// protocolFor is the sub-protocol that the entrance picks by itself: the first of its own that the client offers, or "",
// unless the policy refuses that.
func (e *entrance) protocolFor(req *handshake.Request) (string, *handshake.Refusal) {
	for _, p := range e.protocols {
		if req.Offers(p) {
			return p, nil
		}
	}
	if e.policy == ProtocolRequired || e.policy == ProtocolMatching && len(req.Protocols) > 0 {
		return "", e.mismatch
	}
	return "", nil
}
