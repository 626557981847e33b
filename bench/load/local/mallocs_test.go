package local

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/bench/load"
)

// TestMallocs: a message costs no allocation, neither here nor in the server, which is in the same process. Reports are left out.
func TestMallocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for name, p := range map[string]load.Plan{
		"open loop":   {Connections: 20, Rate: 8000},
		"depth":       {Connections: 20, Rate: 8000, Depth: 4},
		"closed loop": {Connections: 20, Depth: 8, Verify: true},
		"template":    {Connections: 20, Rate: 8000, Verify: true, Payload: load.Payload{Template: `{"seq":{{.Seq}},"conn":{{.Conn}},"now":{{.Now}}}`}},
	} {
		t.Run(name, func(t *testing.T) {
			p.URL, p.ConnectRate, p.Duration = serving(t, echo), fast, load.Duration(time.Hour)
			g := made(t, p)
			if err := g.Connect(t.Context()); err != nil {
				t.Fatal(err)
			}
			begin(t, g)
			whole := load.NewTally()
			until(t, "warm", func() bool { return answered(t, g, whole) > 4000 })
			// A loop that was kept from running has a longer queue once, and pools fill again after a collection: that comes with no message.
			const most, spare = 0.001, 100
			for try := 1; ; try++ {
				from := answered(t, g, whole)
				before := mallocs()
				time.Sleep(time.Second) // what counts is the number of messages, which follows
				after := mallocs()
				n := answered(t, g, whole) - from
				each := (float64(after-before) - spare) / float64(n)
				t.Logf("%d mallocs, %d messages", after-before, n)
				if each <= most {
					break
				}
				if try == 5 {
					t.Fatalf("%.5f mallocs a message besides %d, at most %v", each, spare, most)
				}
			}
			if _, err := g.End(context.Background()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

func answered(t *testing.T, g *generator, whole *load.Tally) int64 {
	r, err := g.Report()
	if err != nil {
		t.Fatal(err)
	}
	whole.Follow(r)
	return whole.Answered
}
