package bwrap

// handed finds the Closure that the init can attach after bubblewrap is done,
// "" for none: what nothing is mounted over, and nothing of bubblewrap's is
// mounted in.
func handed(staged, rest []Op) string {
	dst := ""
	for _, op := range staged {
		_, remount := op.(RemountRO)
		if c, ok := op.(Closure); ok && dst == "" {
			dst = c.Dst
		} else if dst != "" && !remount && within(dst, op.Dest()) {
			return ""
		}
	}
	for _, op := range rest {
		_, remount := op.(RemountRO)
		if dst != "" && (within(op.Dest(), dst) || !remount && within(dst, op.Dest())) {
			return ""
		}
	}
	return dst
}
