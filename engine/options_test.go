package engine

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"
)

// What NewServer and SetLimits make of their options.

// Each option out of its range is an error that is ErrSyntax, names it, and says what it may be.
func TestOptionsOutOfRange(t *testing.T) {
	for _, k := range []struct {
		name string
		o    Options
	}{
		{"Loops", Options{Loops: -1}},
		{"Loops", Options{Loops: 1025}},
		{"MaxConns", Options{MaxConns: -1}},
		{"MaxConnsPerAddress", Options{MaxConnsPerAddress: -1}},
		{"InboundBudget", Options{InboundBudget: 1<<20 - 1}},
		{"InboundBudget", Options{InboundBudget: -1}},
		{"HandshakeTimeout", Options{HandshakeTimeout: -1}},
		{"HandshakeTimeout", Options{HandshakeTimeout: 201 * 24 * time.Hour}},
		{"MaxHandshakeBytes", Options{MaxHandshakeBytes: 511}},
		{"MaxHandshakeBytes", Options{MaxHandshakeBytes: slabBytes}},
		{"Workers", Options{Workers: -1}},
		{"Workers", Options{Workers: 1<<20 + 1}},
		{"InboxBytes", Options{InboxBytes: -1}},
		{"SendBuffer", Options{SendBuffer: -1}},
		{"SendBuffer", Options{SendBuffer: 4095}},
		{"SendBuffer", Options{SendBuffer: 1<<30 + 1}},
		{"ReceiveBuffer", Options{ReceiveBuffer: -1}},
		{"ReceiveBuffer", Options{ReceiveBuffer: 4095}},
		{"ReceiveBuffer", Options{ReceiveBuffer: 1<<30 + 1}},
		{"Origins", Options{Origins: []string{"https://ok.example", "not an origin"}}},
		{"MaxMessageSize", Options{Limits: Limits{MaxMessageSize: -1}}},
		{"MaxMessageSize", Options{Limits: Limits{MaxMessageSize: MaxMessage + 1}}},
		{"MaxFragments", Options{Limits: Limits{MaxFragments: -1}}},
		{"MaxControlRate", Options{Limits: Limits{MaxControlRate: -1}}},
		{"HighWater", Options{Limits: Limits{HighWater: -1}}},
		{"LowWater", Options{Limits: Limits{LowWater: -1}}},
		{"LowWater", Options{Limits: Limits{HighWater: 100, LowWater: 101}}},
		{"LowWater", Options{Limits: Limits{LowWater: 2 << 20}}},
		{"MaxBufferedAmount", Options{Limits: Limits{MaxBufferedAmount: -2}}},
		{"Overflow", Options{Limits: Limits{Overflow: DropMessage + 1}}},
		{"CloseTimeout", Options{Limits: Limits{CloseTimeout: -1}}},
		{"IdleTimeout", Options{Limits: Limits{IdleTimeout: 201 * 24 * time.Hour}}},
		{"PingInterval", Options{Limits: Limits{PingInterval: 201 * 24 * time.Hour}}},
		{"PongTimeout", Options{Limits: Limits{PongTimeout: 201 * 24 * time.Hour}}},
		{"WriteStallTimeout", Options{Limits: Limits{WriteStallTimeout: 201 * 24 * time.Hour}}},
		{"MaxLifetime", Options{Limits: Limits{MaxLifetime: 201 * 24 * time.Hour}}},
	} {
		s, err := NewServer(Funcs{}, k.o)
		if s != nil || !errors.Is(err, ErrSyntax) || !strings.Contains(err.Error(), k.name) || !strings.Contains(err.Error(), "gannet: Options") {
			t.Errorf("%s: %v", k.name, err)
		}
	}
	if _, err := NewServer(nil, Options{}); !errors.Is(err, ErrSyntax) || !strings.Contains(err.Error(), "Handler") {
		t.Error("no handler:", err)
	}
}

// The message says the value and the range, to be acted on without the documentation.
func TestOptionsErrorText(t *testing.T) {
	_, err := NewServer(Funcs{}, Options{Limits: Limits{HighWater: 100, LowWater: 101}})
	if want := "gannet: Options: LowWater is 101, must be 1 byte to HighWater (100): " + ErrSyntax.Error(); err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
}

// The ends of the ranges are inside.
func TestOptionsInRange(t *testing.T) {
	for i, o := range []Options{
		{}, {Loops: 1024}, {InboundBudget: 1 << 20}, {MaxHandshakeBytes: 512}, {Workers: 1 << 20}, {InboxBytes: 1},
		{SendBuffer: 4096, ReceiveBuffer: 1 << 30}, {SendBuffer: 1 << 30}, {ReceiveBuffer: 4096},
		{HandshakeTimeout: 200 * 24 * time.Hour}, {Origins: []string{"*", "null", "https://*.example.com", "http://a.example:*"}},
		{Limits: Limits{MaxMessageSize: 1, MaxFragments: 1, MaxControlRate: 1, HighWater: 1, LowWater: 1, MaxBufferedAmount: 2, Overflow: DropMessage}},
		{Limits: Limits{MaxMessageSize: MaxMessage, MaxBufferedAmount: -1, IdleTimeout: -1, PingInterval: -1, PongTimeout: -1, WriteStallTimeout: -1, MaxLifetime: -1}},
		{Limits: Limits{CloseTimeout: 1, IdleTimeout: 200 * 24 * time.Hour}},
	} {
		if _, err := NewServer(Funcs{}, o); err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// Zero is the documented default.
func TestOptionsDefaults(t *testing.T) {
	k, err := Options{}.config()
	if err != nil {
		t.Fatal(err)
	}
	want := Limits{
		MaxMessageSize: 2147483647, MaxFragments: 1048576, MaxControlRate: 10_000,
		HighWater: 1 << 20, LowWater: 256 << 10, MaxBufferedAmount: 64 << 20, Overflow: CloseSlow,
		IdleTimeout: 2 * time.Minute, PingInterval: 50 * time.Second, PongTimeout: 30 * time.Second,
		CloseTimeout: 10 * time.Second, WriteStallTimeout: 30 * time.Second, MaxLifetime: -1,
	}
	if k.limits.Limits != want {
		t.Errorf("%+v\nwant\n%+v", k.limits.Limits, want)
	}
	if k.Loops != runtime.GOMAXPROCS(0) || k.HandshakeTimeout != 10*time.Second || k.MaxHandshakeBytes != 16<<10 ||
		k.InboxBytes != 1<<20 || k.Workers != 0 || k.MaxConns != 0 || k.Logger != slog.Default() {
		t.Errorf("%+v", k.Options)
	}
	if k.InboundBudget < 64<<20 {
		t.Error("InboundBudget:", k.InboundBudget)
	}
}

// Zero fields of limits are those of what they are laid over, negative ones included; every other
// field is their own.
func TestLimitsWithDefaults(t *testing.T) {
	engine := Limits{
		MaxMessageSize: 1, MaxFragments: 2, MaxControlRate: 3, HighWater: 5, LowWater: 4, MaxBufferedAmount: -1, Overflow: DropMessage,
		IdleTimeout: -1, PingInterval: 7, PongTimeout: 8, CloseTimeout: 9, WriteStallTimeout: -1, MaxLifetime: 11,
	}
	if got := (Limits{}).withDefaults(engine); got != engine {
		t.Errorf("%+v, want %+v", got, engine)
	}
	own := Limits{
		MaxMessageSize: 21, MaxFragments: 22, MaxControlRate: 23, HighWater: 25, LowWater: 24, MaxBufferedAmount: 26, Overflow: CloseSlow,
		IdleTimeout: 27, PingInterval: -1, PongTimeout: 28, CloseTimeout: 29, WriteStallTimeout: 30, MaxLifetime: -1,
	}
	if got := own.withDefaults(engine); got != own {
		t.Errorf("%+v, want %+v", got, own)
	}
}

// An error of SetLimits changes nothing.
func TestSetLimitsErrors(t *testing.T) {
	d := newDiary(t)
	s := startServer(t, d.handler(Funcs{}), Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	dialForeign(t, s, 0)
	c := d.conn()
	before := c.Limits()
	for _, l := range []Limits{
		{MaxMessageSize: MaxMessage + 1}, {LowWater: 2 << 20}, {CloseTimeout: -1}, {MaxBufferedAmount: -2}, {Overflow: 9}, {MaxFragments: -1},
	} {
		isAll(t, c.SetLimits(l), ErrSyntax)
		if got := c.Limits(); got != before {
			t.Fatalf("%+v changed the limits to %+v", l, got)
		}
	}
	if err := c.SetLimits(Limits{}); err != nil || c.Limits() != before {
		t.Error(err, c.Limits())
	}
	for op, name := range map[Overflow]string{CloseSlow: "1", DropMessage: "2"} {
		if fmt.Sprint(uint8(op)) != name {
			t.Error("a policy's zero would be no default")
		}
	}
}

// TestDefaultBudgetFitsAddresses: in a 32-bit process the default is bounded by the addresses, not only by the
// machine's memory: one message of 2 GiB, which MaxMessageSize admits, ended the process.
func TestDefaultBudgetFitsAddresses(t *testing.T) {
	k, err := Options{}.config()
	if err != nil {
		t.Fatal(err)
	}
	if uint64(k.InboundBudget) > math.MaxUint/8 {
		t.Errorf("InboundBudget is %d of %d addresses", k.InboundBudget, uint64(math.MaxUint))
	}
}
