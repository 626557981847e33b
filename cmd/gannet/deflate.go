package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v3"

	"github.com/gannet-ws/gannet/deflate"
)

// deflatePolicy is what the flags say of permessage-deflate; nil: off. What they say without effect is refused.
func deflatePolicy(c *cli.Command) (*deflate.Policy, error) {
	window := c.Int("deflate-window")
	p := &deflate.Policy{
		Level:             c.Int("deflate-level"),
		HistoryBytes:      c.Int("deflate-history"),
		SendWindowBits:    window,
		ReceiveWindowBits: window,
		FrameBytes:        c.Int("deflate-frame"),
	}
	mode := c.String("deflate")
	switch mode {
	case "off":
		if window != 0 || p.Level != 0 || p.HistoryBytes != 0 || p.FrameBytes != 0 {
			return nil, errors.New("--deflate-level, --deflate-window, --deflate-history and --deflate-frame need --deflate shared, alone or own")
		}
		return nil, nil
	case "shared":
	case "alone":
		p.Takeover = deflate.NoTakeover
	case "own":
		p.Takeover = deflate.OwnCompressor
	default:
		return nil, fmt.Errorf("--deflate: %q is none of off, shared, alone, own", mode)
	}
	if p.HistoryBytes != 0 && mode != "shared" {
		return nil, fmt.Errorf("--deflate-history needs --deflate shared: with %s there is no such history", mode)
	}
	if _, err := deflate.New(*p); err != nil {
		return nil, nameFlag(c, err)
	}
	return p, nil
}

// nameFlag says which flag a policy was refused for; the error itself says what it may be.
func nameFlag(c *cli.Command, err error) error {
	flags := map[error]string{
		deflate.ErrLevel: "deflate-level", deflate.ErrWindowBits: "deflate-window", deflate.ErrHistory: "deflate-history",
		deflate.ErrFrameBytes: "deflate-frame",
	}
	name, known := flags[err]
	if !known {
		return err
	}
	return fmt.Errorf("--%s %d: %w", name, c.Int(name), err)
}
