package deflate

import (
	"errors"
	"strings"
	"testing"
)

func TestOffer(t *testing.T) {
	for _, c := range []struct {
		policy Policy
		want   string
	}{
		{Policy{}, "permessage-deflate; client_max_window_bits"},
		{Policy{SendWindowBits: 12}, "permessage-deflate; client_max_window_bits=12"},
		{Policy{Takeover: NoTakeover}, "permessage-deflate; client_no_context_takeover; client_max_window_bits"},
		{Policy{PeerNoTakeover: true}, "permessage-deflate; server_no_context_takeover; client_max_window_bits"},
		{Policy{ReceiveWindowBits: 10}, "permessage-deflate; server_max_window_bits=10; client_max_window_bits, " +
			"permessage-deflate; server_no_context_takeover; client_max_window_bits"},
	} {
		x, err := New(c.policy)
		if err != nil {
			t.Fatal(err)
		}
		if got := x.Offer(); got != c.want {
			t.Errorf("%+v offers %q, want %q", c.policy, got, c.want)
		}
	}
}

// What a client makes of a server's answer; sections are RFC 7692's, 9.1 and 4.1 RFC 6455's. Two fields are written with
// " && " between them.
func TestAnswers(t *testing.T) {
	const name = "permessage-deflate"
	open, small := Policy{}, Policy{SendWindowBits: 12, ReceiveWindowBits: 10}
	none, strict := Agreement{}, Policy{PeerNoTakeover: true}
	agreed := func(send, receive uint8, sendTakeover, receiveTakeover bool) Agreement {
		return Agreement{Send: Direction{send, sendTakeover}, Receive: Direction{receive, receiveTakeover}}
	}
	for _, c := range []struct {
		policy  Policy
		answer  string
		want    Agreement
		err     error
		section string
	}{
		{open, "", none, nil, "nothing accepted"},
		{open, " , ", none, nil, "nothing accepted"},
		{open, name, agreed(15, 15, true, true), nil, "7.1"},
		{open, name + "; server_no_context_takeover", agreed(15, 15, true, false), nil, "7.1.1.1: needs no offer"},
		{open, name + "; client_no_context_takeover", agreed(15, 15, false, true), nil, "7.1.1.2: needs no offer"},
		{open, name + "; server_max_window_bits=9", agreed(15, 9, true, true), nil, "7.1.2.1: needs no offer"},
		{open, name + "; client_max_window_bits=9", agreed(9, 15, true, true), nil, "7.1.2.2"},
		{open, name + `; client_max_window_bits="15"`, agreed(15, 15, true, true), nil, "9.1"},
		{open, name + "; client_max_window_bits", none, ErrAnswerParameter, "7.1.2.2: a value in an answer"},
		{open, name + "; server_max_window_bits", none, ErrAnswerParameter, "7.1.2.1"},
		{open, name + "; server_max_window_bits=16", none, ErrAnswerParameter, "7.1.2.1"},
		{open, name + "; server_max_window_bits=08", none, ErrAnswerParameter, "7.1.2.1"},
		{open, name + "; client_max_window_bits=7", none, ErrAnswerParameter, "7.1.2.2"},
		{open, name + "; server_no_context_takeover=1", none, ErrAnswerParameter, "7.1.1.1"},
		{open, name + "; server_no_context_takeover; server_no_context_takeover", none, ErrAnswerParameter, "7: twice"},
		{open, name + "; server_max_window_bits=9; server_max_window_bits=9", none, ErrAnswerParameter, "7: twice"},
		{open, name + "; server_max_window_bits=9; server_max_window_bits=10", none, ErrAnswerParameter, "7: twice"},
		{open, name + "; client_max_window_bits=9; server_max_window_bits=9; client_max_window_bits=9", none, ErrAnswerParameter, "7: twice"},
		{open, name + "; x", none, ErrAnswerParameter, "7: not defined"},
		{open, name + "; client_max_window_bits=", none, ErrAnswerSyntax, "9.1"},
		{open, name + ";", none, ErrAnswerSyntax, "9.1"},
		{open, name + ", " + name, none, ErrAnswerTwice, "5: one at most"},
		{open, name + ", mux", none, ErrAnswerExtension, "4.1: not offered"},
		{open, "mux", none, ErrAnswerExtension, "4.1: not offered"},
		{open, " && " + name, agreed(15, 15, true, true), nil, "9.1: fields are one list"},
		{open, name + "; server_max_window_bits=9 && ", agreed(15, 9, true, true), nil, "9.1: fields are one list"},
		{open, name + " && " + name, none, ErrAnswerTwice, "5: one at most, in all fields"},
		{open, name + "; server_max_window_bits=9 && " + name + "; server_max_window_bits=9", none, ErrAnswerTwice, "5: one at most, in all fields"},
		{open, name + " && mux", none, ErrAnswerExtension, "4.1: not offered"},
		{open, "mux && " + name, none, ErrAnswerExtension, "4.1: not offered"},
		{open, name + " && server_no_context_takeover", none, ErrAnswerExtension, "9.1: an element ends with its field"},
		{open, name + " && ;", none, ErrAnswerSyntax, "9.1: fields are one list"},
		{open, "Permessage-deflate", none, ErrAnswerExtension, "4.1: not offered"},

		{small, name + "; server_max_window_bits=10", agreed(12, 10, true, true), nil, "7.1.2.1: the same"},
		{small, name + "; server_max_window_bits=8; client_max_window_bits=11", agreed(11, 8, true, true), nil, "7.1.2: smaller"},
		{small, name + "; server_max_window_bits=11", none, ErrAnswerWindow, "7.1.2.1: larger"},
		{small, name + "; server_max_window_bits=10; client_max_window_bits=13", none, ErrAnswerWindow, "7.1.2.2: larger"},
		{small, name + "; server_no_context_takeover", agreed(12, 15, true, false), nil, "the second offer"},
		{small, name + "; server_no_context_takeover; server_max_window_bits=12", agreed(12, 12, true, false), nil, "the second offer"},
		{small, name, none, ErrAnswerTakeover, "7.1.1.1, 7.1.2.1: neither limit is kept"},
		{strict, name + "; server_no_context_takeover", agreed(15, 15, true, false), nil, "7.1.1.1"},
		{strict, name, none, ErrAnswerTakeover, "7.1.1.1: accepted by repeating it"},
		{Policy{Takeover: NoTakeover}, name, agreed(15, 15, false, true), nil, "7.1.1.2: a hint that needs no answer"},
	} {
		x, err := New(c.policy)
		if err != nil {
			t.Fatal(err)
		}
		a, ok, err := x.Accept(lines(strings.Split(c.answer, " && ")...))
		a.answer = parameters{}
		if a != c.want || ok != (c.want != none) || !errors.Is(err, c.err) {
			t.Errorf("%+v, %q: %+v, %v, %v; want %+v, %v (%s)", c.policy, c.answer, a, ok, err, c.want, c.err, c.section)
		}
	}
}

// Whatever two policies meet, the answer is one that the client takes, and both mean the same by it.
func TestBothEndsAgree(t *testing.T) {
	var policies []Policy
	for _, takeover := range []Takeover{SharedHistory, NoTakeover} {
		for _, peer := range []bool{false, true} {
			for _, s := range []int{8, 11, 15} {
				for _, r := range []int{8, 11, 15} {
					policies = append(policies, Policy{Takeover: takeover, PeerNoTakeover: peer, SendWindowBits: s, ReceiveWindowBits: r})
				}
			}
		}
	}
	for _, cp := range policies {
		for _, sp := range policies {
			client, _ := New(cp)
			server, _ := New(sp)
			s, ok := server.Negotiate(lines(client.Offer()))
			if !ok {
				t.Fatalf("%q declined", client.Offer())
			}
			c, ok, err := client.Accept(lines(s.String()))
			if !ok || err != nil {
				t.Fatalf("%q, answered %q: %v", client.Offer(), s.String(), err)
			}
			if !covers(s.Receive, c.Send) || !covers(c.Receive, s.Send) || c.String() != s.String() {
				t.Errorf("%q: client %+v, server %+v", s.String(), c, s)
			}
		}
	}
}

// covers reports whether what the sender does is within what the receiver keeps.
func covers(receive, send Direction) bool {
	return receive.WindowBits >= send.WindowBits && (receive.Takeover || !send.Takeover)
}
