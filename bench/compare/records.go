package main

import (
	"github.com/gannet-ws/gannet/bench/internal/results"
	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// records are what r found, for the file that -append names.
func (r *report) records() (all []results.Record) {
	for _, c := range r.Echo {
		all = append(all, c.records(r.common())...)
	}
	for _, c := range r.Idle {
		all = append(all, c.records(r.common())...)
	}
	return all
}

// common is what all records of a run have.
func (r *report) common() results.Record {
	m := r.Machine.Machine
	m.Command = results.WithoutPaths(m.Command)
	return results.Record{Machine: m}
}

func (r echoResult) records(common results.Record) (all []results.Record) {
	common.Cell, common.Title, common.Unit = r.Cell.Name, r.Cell.heading(), r.Cell.unit()
	common.Void, common.FloorMove = r.Void, r.FloorMove
	floor, subject := r.find(roleFloor), r.find(roleSubject)
	for i := range r.Servers {
		s := &r.Servers[i]
		if s == floor && !r.floorIsBase() {
			continue
		}
		record := common
		record.Server, record.Role, record.Rounds = s.Name, string(s.Role), len(s.Samples)
		record.CPU = pointer(s.spread(cpu))
		if r.floorIsBase() {
			record.ToFloor = pointer(rig.SpreadOf(ratios(s.Samples, floor.Samples)))
		}
		if subject != nil && s != subject {
			record.GannetToIt = pointer(rig.SpreadOf(ratios(subject.Samples, s.Samples)))
		}
		record.PerSecond = s.median(func(s sample) float64 { return s.MsgsPerSec })
		record.P50Micros = s.median(func(s sample) float64 { return s.P50Micros })
		record.P99Micros = s.median(func(s sample) float64 { return s.P99Micros })
		record.P999Micros = s.median(func(s sample) float64 { return s.P999Micros })
		all = append(all, record)
	}
	return append(all, absent(common, r.LeftOut)...)
}

func (r idleResult) records(common results.Record) (all []results.Record) {
	common.Cell, common.Title, common.Unit = r.Cell.Name, "memory of a connection, "+r.Cell.Title, "connection"
	for _, s := range r.Servers {
		record := common
		record.Server, record.Role, record.Rounds = s.Name, string(s.Role), len(s.Runs)
		record.BytesPerConn = pointer(s.slope())
		all = append(all, record)
	}
	return append(all, absent(common, r.LeftOut)...)
}

// absent are the records of those that were left out.
func absent(common results.Record, out []leftOut) (all []results.Record) {
	for _, o := range out {
		common.Server, common.LeftOut = o.Name, o.Why
		all = append(all, common)
	}
	return all
}

func pointer(s rig.Spread) *rig.Spread { return &s }
