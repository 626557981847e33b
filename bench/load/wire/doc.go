// Package wire speaks to a [load.Generator] that is somewhere else, over any pipe: that of a child process, or a broker's subjects.
//
// [New] is the side that drives: it is a Generator whose work another side does. [Serve] is that other side. They exchange lines of
// JSON:
//
//	both sides first   {"hello":{"gannetLoad":1,"version":"v0.1.0"}}
//	the driver asks    {"id":1,"do":"prepare","share":{...}}     then connect, begin, turn, report, end
//	the other answers  {"id":1}   or   {"id":1,"tally":{...}}   or   {"id":1,"error":"..."}
//	the driver         {"do":"cancel"}   a connect or an end is to finish now
//	both sides         {"do":"alive"}    once a second
//
// There is one request at a time, and beside connect one report. Times are said as so long from now: the clocks of two machines differ.
//
// Neither side trusts the other. A line has at most 4 MiB; a side that is silent for 30 seconds is gone; a request has a time in which
// it must be answered; numbers and histograms are checked. Whatever goes wrong is an error of the call, and of all later ones.
package wire
