//go:build gannetplant

package engine

func setSchedulingPoint(f func()) { atSchedulingPoint = f }
