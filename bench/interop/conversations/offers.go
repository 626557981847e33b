package main

import (
	_ "embed"
	"strings"

	"github.com/gannet-ws/gannet/deflate"
)

// offer is what our client says of compression, and how it is made otherwise.
type offer struct {
	name    string
	policy  *deflate.Policy
	carried bool // by goroutines, and not by native loops
	workers int
}

var offers = []offer{
	{name: "none", carried: true, workers: 2},
	{name: "shared", policy: &deflate.Policy{}},
	{name: "alone", policy: &deflate.Policy{Takeover: deflate.NoTakeover, PeerNoTakeover: true}, workers: 2},
	{name: "own", policy: &deflate.Policy{Takeover: deflate.OwnCompressor}, carried: true},
	{name: "small", policy: &deflate.Policy{SendWindowBits: 9, ReceiveWindowBits: 9}},
}

// negotiatedText is what each server agrees to: a line for each server, mode of it, and offer of ours.
//
//go:embed negotiated.txt
var negotiatedText string

// unlawful is in the table where a server agrees to what was not offered, or not to what it has to: the connection must fail.
const unlawful = "fails"

// negotiated is what the server has to agree to; false: the table does not say.
func (to *target) negotiated(o offer) (string, bool) {
	if o.policy == nil || to.mode == "off" {
		return "", true
	}
	for line := range strings.Lines(negotiatedText) {
		if what, agreed, ok := strings.Cut(line, ":"); ok && what == to.server+" "+to.mode+" "+o.name {
			return strings.TrimSpace(agreed), true
		}
	}
	return "", false
}
