package bwrap

import "slices"

// late takes out of what is bubblewrap's the operations that the in-sandbox
// init can do once bubblewrap has mounted /proc: message queues, sysfs and
// control groups, masks and read-only paths in a procfs or sysfs. They are
// done on the sandbox's own, and the mount table is not read anew for each.
//
// Their order among themselves stays. A plan in which something is mounted
// over one of them later keeps all of them with bubblewrap. The init masks
// with the sandbox's /dev/null, so null says whether that is the device, and
// not what the image has there.
func late(ops []Op, null bool) (theirs, ours []Op) {
	var procs []string
	for _, op := range ops {
		switch o := op.(type) {
		case Proc:
			procs = append(procs, o.Dst)
		case Sysfs:
			procs = append(procs, o.Dst)
		}
		if inInit(op, procs, null) {
			ours = append(ours, op)
			continue
		}
		if slices.ContainsFunc(ours, func(o Op) bool { return within(o.Dest(), op.Dest()) }) {
			return ops, nil
		}
		theirs = append(theirs, op)
	}
	return theirs, ours
}

func inInit(op Op, procs []string, null bool) bool {
	in := slices.ContainsFunc(procs, func(p string) bool { return op.Dest() != p && within(op.Dest(), p) })
	switch o := op.(type) {
	case Mqueue, Sysfs, Cgroup:
		return true
	case Tmpfs, RemountRO:
		return in
	case Bind:
		// The source is looked up in the sandbox, where these are what the
		// plan means.
		return in && (o.Src == o.Dst || null && o.Src == "/dev/null")
	}
	return false
}

// hasNull says whether /dev/null is in the end that of a Dev.
func hasNull(steps []Step) bool {
	for _, s := range slices.Backward(steps) {
		switch s.Op.(type) {
		case Dir, RemountRO:
			continue
		}
		if within("/dev/null", s.Op.Dest()) {
			_, ok := s.Op.(Dev)
			return ok
		}
	}
	return false
}
