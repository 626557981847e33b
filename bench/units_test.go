package bench

import (
	"flag"
	"fmt"
)

// The units of what an echo benchmark reports. A benchmark's history is found by its name and its units, and bench/gate
// reads them: to change one is to begin a new history.
const (
	unitRate    = "msgs/s"      // messages there and back
	unitCPU     = "cpu-ns/msg"  // CPU time of the server's process, user and system
	unitMallocs = "mallocs/msg" // of the server's process
)

// unitsLatency are times of a batch: see latencies.
var unitsLatency = []struct {
	unit    string
	percent float64
}{{"p50-ns", 50}, {"p99-ns", 99}, {"p99.9-ns", 99.9}}

// printUnits tells benchstat which way is better. It knows that of Go's own units only.
func printUnits() {
	if flag.Lookup("test.bench").Value.String() == "" {
		return
	}
	fmt.Printf("Unit %s better=higher\n", unitRate)
	for _, unit := range []string{unitCPU, unitMallocs, unitPerMessage} {
		fmt.Printf("Unit %s better=lower\n", unit)
	}
	for _, p := range unitsLatency {
		fmt.Printf("Unit %s better=lower\n", p.unit)
	}
}
