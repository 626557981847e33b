//go:build gannetdebug

package engine

// explore lets other goroutines act at the engine's scheduling points too.
func (m *simulation) explore() bool {
	m.engine.scheduling.at = m.atSchedulingPoint
	return true
}
