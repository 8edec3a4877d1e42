//go:build !linux

package main

import (
	"errors"
	"syscall"
)

func goInside() error { return errors.New("only Linux has network namespaces") }

func bindAnywhere(string, string, syscall.RawConn) error { return errors.ErrUnsupported }
