package bwrap

// Attr is a set of attributes of one mount, as mount_setattr(2) knows them.
// The empty set is what bubblewrap gives a mount: nodev, relatime, programs
// run. Only a stage or the init can give others; in bubblewrap's own options
// they are left out. Every mount is nosuid: bubblewrap makes it so, and takes
// set-id bits their meaning by no_new_privs anyway.
type Attr uint16

const (
	NoExec Attr = 1 << iota
	Device      // without it a mount is nodev
	NoSymFollow
	NoAtime
	StrictAtime
	NoDirAtime
	Single // of a bind: without what is mounted below its source
	Slave  // of a bind: receives the mounts that the host makes below its source
)

var attrWords = [...]string{"noexec", "dev", "nosymfollow", "noatime", "strictatime", "nodiratime", "bind", "slave"}

// Words gives the attributes as mount(8) writes them, in a fixed order.
func (a Attr) Words() []string {
	var words []string
	for i, w := range attrWords {
		if a&(1<<i) != 0 {
			words = append(words, w)
		}
	}
	return words
}
