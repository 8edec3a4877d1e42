package discovery

import (
	"fmt"
	"net"
)

// Interfaces returns the names of the network interfaces on which others may be found now: up and connected, with multicast and
// an address. Loopback is none of them, since there a machine finds only itself. Which network is meant is for a person or a
// configuration to say when there are several; there may also be none. Errors wrap [ErrInterface].
func Interfaces() (names []string, err error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInterface, err)
	}
	const needed = net.FlagUp | net.FlagRunning | net.FlagMulticast
	for _, i := range all {
		if i.Flags&needed != needed || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		if hasAddress(group4(), &i) == nil || hasAddress(group6(), &i) == nil {
			names = append(names, i.Name)
		}
	}
	return names, nil
}
