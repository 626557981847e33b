//go:build !linux

package netio

import (
	"net"
	"testing"
)

func nativeRigs() []rig { return nil }

func secureRigs() []rig { return nil }

func dupPeer(testing.TB, net.Conn) int { return -1 }
