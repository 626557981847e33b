package deflate

// Offer is the value of a client's Sec-WebSocket-Extensions field. client_max_window_bits is always in it, because any
// window can be kept (RFC 7692 7.1.2.2). Where the policy limits the server's window there are two offers, best first: a
// server that cannot limit its window may have one that ends with each message.
func (x *Extension) Offer() string {
	b := make([]byte, 0, 256)
	for i, o := range x.offers() {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = o.appendTo(b)
	}
	return string(b)
}

func (x *Extension) offers() []parameters {
	first := parameters{
		serverNoTakeover: x.policy.PeerNoTakeover,
		clientNoTakeover: x.policy.Takeover == NoTakeover,
		clientBits:       anyBits,
	}
	if x.sendBits() < maxWindowBits {
		first.clientBits = x.sendBits()
	}
	if x.receiveBits() == maxWindowBits {
		return []parameters{first}
	}
	second := first
	first.serverBits = x.receiveBits()
	second.serverNoTakeover = true
	return []parameters{first, second}
}

// Accept reads a server's answer as the client that sent Offer. lines are the values of the response's
// Sec-WebSocket-Extensions fields. It returns false without an error where the server accepted no extension. An error,
// an [Error], means that the client must fail the connection (RFC 6455 4.1, RFC 7692 7): the answer is malformed, names
// another extension, repeats itself, has a parameter that was not offered or cannot be, or a limit wider than offered.
func (x *Extension) Accept(lines [][]byte) (a Agreement, ok bool, err error) {
	var answer parameters
	for _, line := range lines {
		s := scanner{text: line}
		for e, more := s.next(); more; e, more = s.next() {
			switch {
			case e.malformed:
				return Agreement{}, false, ErrAnswerSyntax
			case string(e.name) != extensionName:
				return Agreement{}, false, ErrAnswerExtension
			case ok:
				return Agreement{}, false, ErrAnswerTwice
			case e.invalid || e.parameters.clientBits == anyBits: // RFC 7692 7.1.2.2: an answer has a value
				return Agreement{}, false, ErrAnswerParameter
			}
			answer, ok = e.parameters, true
		}
	}
	if !ok {
		return Agreement{}, false, nil
	}
	offers := x.offers()
	for _, offer := range offers {
		if answer.fits(offer) == 0 {
			return x.agree(answer, false), true, nil
		}
	}
	return Agreement{}, false, answer.fits(offers[0])
}

// fits checks an answer against the offer that it may be the answer to. What an answer may have without an offer: both
// no_context_takeover (7.1.1), and a smaller window of the server's (7.1.2.1). A window of the client's needs an offer
// (7.1.2.2), which is always made.
func (p parameters) fits(offer parameters) Error {
	switch {
	case offer.clientBits >= minWindowBits && p.clientBits > offer.clientBits: // RFC 7692 7.1.2.2: equal or smaller
		return ErrAnswerWindow
	case offer.serverBits != 0 && p.serverBits > offer.serverBits: // RFC 7692 7.1.2.1: same or smaller
		return ErrAnswerWindow
	case offer.serverBits != 0 && p.serverBits == 0, // RFC 7692 7.1.2.1: accepted by being repeated
		offer.serverNoTakeover && !p.serverNoTakeover: // RFC 7692 7.1.1.1: likewise
		return ErrAnswerTakeover
	}
	return 0
}
