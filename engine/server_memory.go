package engine

// fallbackMemory is what a machine is taken to have where it can not be asked.
const fallbackMemory = 4 << 30
