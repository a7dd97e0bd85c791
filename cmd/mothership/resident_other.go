//go:build !linux

package main

func dropStartupCode() {}
