package runner

import (
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// carrier brings what the command writes to a stream of the caller's. An
// image that logs to /dev/stdout opens its stdout anew, and the kernel lets
// only those do so who may open what is behind it: nobody a socket, as a
// service manager gives, and no other user a file or a pipe of the caller's.
// Where the command could not, it writes to a pipe of the carrier's, which all
// may open that see it, as an engine would give it.
type carrier struct {
	from, to *os.File
	done     chan struct{} // closed when nothing more comes
}

// carry puts carriers before those streams of the command that it could not
// open again. mapped says that its ids are not the runner's.
func (l *launch) carry(s *initSpec, mapped bool) error {
	if s.Terminal != nil {
		return nil
	}
	given := l.Stdout
	for _, stream := range []**os.File{&l.Stdout, &l.Stderr} {
		switch f := *stream; {
		case f == nil || s.reopens(f, mapped):
		case stream == &l.Stderr && given != l.Stdout && same(f, given):
			// One pipe for both, which keeps their order.
			*stream = l.Stdout
		default:
			pipe, err := l.newCarrier(f)
			if err != nil {
				return err
			}
			*stream = pipe
		}
	}
	return nil
}

// newCarrier gives the end for the command.
func (l *launch) newCarrier(f *os.File) (*os.File, error) {
	// Not the caller's number: at a broken pipe Go dies of 1 and 2 alone.
	to, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, &os.PathError{Op: "dup", Path: f.Name(), Err: err}
	}
	c := &carrier{to: os.NewFile(uintptr(to), f.Name()), done: make(chan struct{})}
	var ends [2]int // os.Pipe's would not block, which the command would inherit
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		c.to.Close()
		return nil, os.NewSyscallError("pipe2", err)
	}
	pipe := os.NewFile(uintptr(ends[1]), "pipe")
	l.files = append(l.files, pipe)
	err = unix.SetNonblock(ends[0], true) // for the deadline
	c.from = os.NewFile(uintptr(ends[0]), "pipe")
	l.carriers = append(l.carriers, c)
	go func() {
		defer close(c.done)
		defer c.to.Close()
		defer c.from.Close() // the command's writes fail when the caller's would
		io.Copy(c.to, c.from)
	}()
	if err == nil {
		err = pipe.Chmod(0o666)
	}
	return pipe, err
}

// settle waits until all has been carried that the command has written. What
// others write who still have the pipe, in a sandbox that goes on, is not for
// the caller any more; nor is a caller waited for that reads nothing when the
// sandbox has been cut off.
func (c *carrier) settle(shared, cut bool) {
	if shared {
		c.from.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	}
	if !cut {
		<-c.done
		return
	}
	select {
	case <-c.done:
	case <-time.After(time.Second):
	}
}

// reopens reports whether the command may open the file that it is given once
// more, to write. A terminal is left to it in any case.
func (s *initSpec) reopens(f *os.File, mapped bool) bool {
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) != nil {
		return true
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFCHR, unix.S_IFBLK:
		return true
	case unix.S_IFSOCK:
		return false
	case unix.S_IFREG:
		// Opened again it would be written from its start.
		if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0); err != nil || flags&unix.O_APPEND == 0 {
			return false
		}
	}
	const override = 1 << unix.CAP_DAC_OVERRIDE
	const overflow = 65534 // what is not mapped
	uid, gids := s.UID, append([]int{s.GID}, s.Groups...)
	if s.KeepIDs {
		uid, gids = os.Geteuid(), nil
	}
	switch {
	case mapped || st.Uid == overflow || st.Gid == overflow:
	case uid == 0 && s.Caps.Effective&override != 0:
		return true
	case int(st.Uid) == uid:
		return st.Mode&0o200 != 0
	case slices.Contains(gids, int(st.Gid)):
		return st.Mode&0o020 != 0
	}
	return st.Mode&0o002 != 0
}

// same reports whether two descriptors are of one file.
func same(a, b *os.File) bool {
	one, err := a.Stat()
	if err != nil {
		return false
	}
	two, err := b.Stat()
	return err == nil && os.SameFile(one, two)
}
