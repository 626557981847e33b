package engine

// Planted bugs: the simulator must catch each of them (TestPlantedBugs). Without the
// tag gannetplant plantedBug is a constant false, and the code it guards is gone.
type bug uint8

const (
	_              bug = iota
	bugLostWake        // a letter without a wake-up
	bugLostOwed        // the gap in which the lock's holder misses what the loop left
	bugCorkLeak        // the cork stays on
	bugStaleFD         // a descriptor is closed while this turn's events can still name it
	bugDoubleClose     // OnClose twice
	bugLeakQueue       // a closed connection keeps its queue
	bugLostDrain       // LowWater is reached and nobody told
)
