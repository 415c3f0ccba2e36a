package convert

import (
	"slices"
	"strings"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// mountWords are the options of a mount, sorted out as runtimes do it: of two
// words that contradict each other the last one counts, and what is no word of
// mount(8)'s own is for the file system.
type mountWords struct {
	attr        bwrap.Attr
	readOnly    bool
	nodev       bool     // said, and not just the default
	propagation string   // "private", "slave", "shared", "unbindable", with an r in front where it is so; "" where none is given
	data        []string // the rest, in order
	ignored     []string // words of mount(8)'s that can't be had
	idmap, ids  string   // "idmap" or "ridmap", and the map as crun has it behind the "="
}

// attrWords turn attributes on and off. A runtime leaves devices working where
// no word forbids them; here they have to be asked for, since there is no
// device cgroup behind them.
var attrWords = map[string]struct{ set, clear bwrap.Attr }{
	"nodev": {clear: bwrap.Device}, "dev": {set: bwrap.Device},
	"noexec": {set: bwrap.NoExec}, "exec": {clear: bwrap.NoExec},
	"nosymfollow": {set: bwrap.NoSymFollow}, "symfollow": {clear: bwrap.NoSymFollow},
	"noatime": {bwrap.NoAtime, bwrap.StrictAtime}, "atime": {clear: bwrap.NoAtime},
	"relatime": {clear: bwrap.NoAtime | bwrap.StrictAtime}, "norelatime": {bwrap.StrictAtime, bwrap.NoAtime},
	"strictatime": {bwrap.StrictAtime, bwrap.NoAtime}, "nostrictatime": {clear: bwrap.StrictAtime},
	"nodiratime": {set: bwrap.NoDirAtime}, "diratime": {clear: bwrap.NoDirAtime},
	"bind": {set: bwrap.Single}, "rbind": {clear: bwrap.Single},
}

// defaultWords ask for what is so anyway, or for nothing that can be seen.
var defaultWords = [...]string{"defaults", "nosuid", "suid", "async", "silent", "loud", "nolazytime", "noiversion", "nomand", "tmpcopyup"}

// otherWords are mount(8)'s as well, and not applied.
var otherWords = [...]string{"sync", "dirsync", "lazytime", "iversion", "mand", "remount"}

func parseWords(options []string) mountWords {
	var w mountWords
	for _, o := range options {
		plain := o
		if r := strings.TrimPrefix(o, "r"); r != o && r != "bind" && (attrWords[r].set|attrWords[r].clear != 0 || r == "ro" || r == "rw" || r == "nosuid" || r == "suid") {
			plain = r // for what is mounted below as well, which ours always are
		}
		change, known := attrWords[plain]
		word, ids, _ := strings.Cut(o, "=")
		switch {
		case word == "idmap" || word == "ridmap":
			w.idmap, w.ids = word, ids
		case known:
			w.attr = w.attr&^change.clear | change.set
			w.nodev = plain == "nodev" || w.nodev && plain != "dev"
		case plain == "ro" || plain == "rw":
			w.readOnly = plain == "ro"
		case slices.Contains([]string{"private", "slave", "shared", "unbindable"}, strings.TrimPrefix(o, "r")):
			w.propagation = o
		case slices.Contains(defaultWords[:], o):
		case slices.Contains(otherWords[:], o):
			w.ignored = append(w.ignored, o)
		default:
			w.data = append(w.data, o)
		}
	}
	if strings.HasSuffix(w.propagation, "slave") {
		w.attr |= bwrap.Slave
	}
	return w
}
