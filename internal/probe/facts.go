package probe

import (
	"errors"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Facts are what a process can see, by group and name. A value is text that is
// equal where the process sees the same.
type Facts map[string]map[string]string

func (f Facts) set(group, name, value string) {
	if f[group] == nil {
		f[group] = map[string]string{}
	}
	f[group][name] = value
}

// add is set for a name that there may be several of: the second is "name #2".
func (f Facts) add(group, name, value string) {
	unique := name
	for n := 2; ; n++ {
		if _, taken := f[group][unique]; !taken {
			break
		}
		unique = name + " #" + strconv.Itoa(n)
	}
	f.set(group, unique, value)
}

// Escape makes any bytes a text that JSON carries unchanged; two that differ
// stay different.
func Escape(s string) string {
	q := strconv.Quote(s)
	return q[1 : len(q)-1]
}

// fault names an error by its number, which is the same in both worlds where
// its text or path may not be.
func fault(err error) string {
	if err == nil {
		return "ok"
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		if name := unix.ErrnoName(errno); name != "" {
			return name
		}
		return "errno " + strconv.Itoa(int(errno))
	}
	return err.Error()
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
