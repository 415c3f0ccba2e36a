package parity

import (
	"fmt"
	"strings"

	"github.com/oci2bwrap/oci2bwrap/internal/probe"
)

// lines replaces the command's output by its lines, without those that may
// differ, so that each that does is a difference of its own.
func (c *comparison) lines() {
	for _, r := range []*Report{c.ours, c.theirs} {
		for _, stream := range []string{"stdout", "stderr"} {
			text, ok := r.Facts[probe.CommandGroup][stream]
			if !ok {
				continue
			}
			delete(r.Facts[probe.CommandGroup], stream)
			n := 0
			for line := range strings.SplitSeq(strings.TrimSuffix(text, `\n`), `\n`) {
				if !c.mayDiffer(line) {
					n++
					r.Facts[probe.CommandGroup][fmt.Sprintf("%s line %5d", stream, n)] = line
				}
			}
		}
	}
}

func (c *comparison) mayDiffer(line string) bool {
	for _, re := range c.Lines {
		if re.MatchString(line) {
			return true
		}
	}
	return false
}
