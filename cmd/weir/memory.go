package main

import (
	"github.com/KimMachineGun/automemlimit/memlimit"
)

// memoryShare of the control group's limit is the garbage collector's to stay below. What is left is for what it does not count: stacks of threads, the
// kernel's buffers of sockets, mapped files.
const memoryShare = 0.9

// limitMemory tells the garbage collector how much memory the container may use, which it would otherwise learn by being killed. GOMEMLIMIT wins over it, as
// does AUTOMEMLIMIT (a share, or off). Where no control group can be read there is no limit to keep: the server logs what is in force.
func limitMemory() { _, _ = memlimit.Set(memlimit.WithRatio(memoryShare)) }
