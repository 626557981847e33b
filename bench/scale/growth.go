package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// growth is what make scale-growth finds out: the same load over more and more connections.
type growth struct {
	Machine rig.Machine `json:"machine"`
	Rate    float64     `json:"rate"` // of echoes, at each step
	Size    int         `json:"size"`
	// ConnectRate is how many connections a second are begun.
	ConnectRate float64  `json:"connectRate"`
	Steps       []step   `json:"steps,omitempty"` // the fewest connections first
	Lacks       []string `json:"lacks,omitempty"` // why a step has fewer connections than it was to have
}

// step is one number of connections.
type step struct {
	Echo      level `json:"echo"`
	Broadcast level `json:"broadcast"`
}

// Connections is how many there were.
func (s step) Connections() float64 { return float64(s.Echo.Open) }

// readGrowth reads what an earlier run has left; nothing if there was none.
func readGrowth(file string) (g growth, err error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return g, nil
	}
	if err != nil {
		return g, err
	}
	if err := json.Unmarshal(text, &g); err != nil {
		return g, fmt.Errorf("%s: %w", file, err)
	}
	return g, nil
}

func (g growth) write(file string) error {
	text, err := json.MarshalIndent(g, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
