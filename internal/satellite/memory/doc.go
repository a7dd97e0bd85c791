// Package memory bounds what the engine keeps of bodies: pooled buffers that
// grow as bytes arrive, and a budget that large ones share by API key.
//
// A body of more than 32 KiB takes its bytes from a Budget before it is read.
// No key can hold so much of it that others get nothing. The package knows
// neither calls nor connections.
package memory
