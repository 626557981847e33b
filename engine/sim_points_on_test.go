//go:build gannetplant

package engine

func setSchedulingPoint(f func(*Conn)) { atSchedulingPoint = f }
