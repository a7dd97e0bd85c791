//go:build !linux

package satellite

func dropStartupCode() {}
