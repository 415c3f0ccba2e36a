package bwrap

import "slices"

// covered finds the procfs in which bubblewrap, for root, makes directories
// read-only that the plan leaves as they are; rest is what bubblewrap makes.
// The init then mounts another one over it: the process is to write there,
// and the kernel lets a user namespace in the sandbox have a procfs only where
// it sees one without such covers.
func covered(p *Plan, rest []Op) (dst string, ok bool) {
	if p.Namespaces.User || p.Namespaces.Mapped {
		return "", false // there they are root's of the machine, and not covered
	}
	for _, op := range rest {
		if o, is := op.(Proc); is && !ok {
			dst, ok = o.Dst, true
		} else if is || ok && within(op.Dest(), dst) {
			return "", false // bubblewrap has something to make in it
		}
	}
	return dst, ok && !(has(p.Steps, dst+"/irq") && has(p.Steps, dst+"/bus"))
}

func has(steps []Step, dst string) bool {
	return slices.ContainsFunc(steps, func(s Step) bool { return s.Op.Dest() == dst })
}
