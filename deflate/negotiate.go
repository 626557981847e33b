package deflate

// Negotiate answers a client's offers as a server. lines are the values of the request's Sec-WebSocket-Extensions
// fields in their order; it keeps none of them. It returns the agreement on the first offer that can be accepted, in
// the client's order of preference (RFC 7692 5), and false where there is none: the connection then goes on without
// compression. An offer that is malformed, or has an unknown, repeated or invalid parameter, is declined and no other
// offer suffers for it (RFC 7692 7). It does not allocate.
func (x *Extension) Negotiate(lines [][]byte) (Agreement, bool) {
	for _, line := range lines {
		s := scanner{text: line}
		for {
			e, ok := s.next()
			if !ok {
				break
			}
			if !e.malformed && !e.invalid && string(e.name) == extensionName {
				return x.agree(x.answer(e.parameters), true), true
			}
		}
	}
	return Agreement{}, false
}

// answer is what a server says to an offer. Every valid offer has one:
//
//   - server_no_context_takeover is repeated when it was offered (7.1.1.1) or is wanted, which needs no offer.
//   - client_no_context_takeover is repeated when it was offered, where it is the hint that the client will not take its
//     context over (7.1.1.2), so that no window is kept; or when it is wanted, which needs no offer.
//   - server_max_window_bits is answered with the same or a smaller value (7.1.2.1); where it was not offered, a server
//     may still announce its own.
//   - client_max_window_bits is answered only to who offered it (7.1.2.2), with the smaller of both values. A client that
//     did not offer it uses whatever it likes: then client_no_context_takeover keeps the memory within the policy's
//     price, as no window outlives a message.
func (x *Extension) answer(offer parameters) parameters {
	a := parameters{
		serverNoTakeover: offer.serverNoTakeover || x.policy.Takeover == NoTakeover,
		clientNoTakeover: offer.clientNoTakeover || x.policy.PeerNoTakeover,
	}
	if offer.serverBits != 0 {
		a.serverBits = min(offer.serverBits, x.sendBits())
	} else if x.sendBits() < maxWindowBits {
		a.serverBits = x.sendBits()
	}
	switch {
	case offer.clientBits >= minWindowBits:
		a.clientBits = min(offer.clientBits, x.receiveBits())
	case offer.clientBits == anyBits && x.receiveBits() < maxWindowBits:
		a.clientBits = x.receiveBits()
	case offer.clientBits == 0 && x.receiveBits() < maxWindowBits:
		a.clientNoTakeover = true
	}
	return a
}
