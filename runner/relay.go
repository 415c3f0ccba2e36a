package runner

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Relay carries bytes between the caller's streams and the terminal of a
// sandbox. While it stands, the caller's terminal is raw: what is typed means
// something in the sandbox only.
type Relay struct {
	sandbox *Sandbox
	in, out *os.File
	saved   *unix.Termios // of in; nil where it is no terminal
	wake    *os.File      // closed to end the reading of in
	outDone chan struct{} // closed when all that the sandbox wrote is out
	inDone  chan struct{}
	once    sync.Once

	// interrupted has a value when an interrupt was typed that the kernel
	// drops, the command being pid 1 and having no handler.
	interrupted chan os.Signal
}

// Attach begins the relay for a created sandbox whose Process has a Terminal.
// The window is that of in or out, where one is a terminal. Close restores
// in's state and has to be called on every way out.
func (s *Sandbox) Attach(in, out *os.File) (*Relay, error) {
	if s.master == nil {
		return nil, errors.New("the sandbox has no terminal")
	}
	r := &Relay{sandbox: s, in: in, out: out, outDone: make(chan struct{}), inDone: make(chan struct{}), interrupted: make(chan os.Signal, 1)}
	if in != nil {
		if t, err := unix.IoctlGetTermios(int(in.Fd()), unix.TCGETS); err == nil {
			r.saved = t
		}
	}
	r.resize()
	if err := r.raw(); err != nil {
		return nil, err
	}
	wake, closer, err := os.Pipe()
	if err != nil {
		r.restore()
		return nil, err
	}
	r.wake = closer
	go r.copyOut()
	go func() {
		defer close(r.inDone)
		defer wake.Close()
		if in != nil {
			r.copyIn(wake)
		}
	}()
	s.relay = r
	return r, nil
}

// raw makes the caller's terminal hand on every byte as it is typed.
func (r *Relay) raw() error {
	if r.saved == nil {
		return nil
	}
	t := *r.saved
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(int(r.in.Fd()), unix.TCSETS, &t)
}

func (r *Relay) restore() {
	if r.saved != nil {
		unix.IoctlSetTermios(int(r.in.Fd()), unix.TCSETS, r.saved)
	}
}

// resize gives the sandbox's terminal the size of the caller's.
func (r *Relay) resize() {
	for _, f := range []*os.File{r.in, r.out} {
		if f == nil {
			continue
		}
		if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && (size.Row != 0 || size.Col != 0) {
			r.control(func(fd int) { unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, size) })
			return
		}
	}
}

// control calls f with the master's descriptor, without making it a blocking
// one as Fd does.
func (r *Relay) control(f func(fd int)) {
	if c, err := r.sandbox.master.SyscallConn(); err == nil {
		c.Control(func(fd uintptr) { f(int(fd)) })
	}
}

// copyOut writes all that comes out of the sandbox. While no process in there
// has the terminal open there is an error instead, until one opens it again.
func (r *Relay) copyOut() {
	defer close(r.outDone)
	buf := make([]byte, 32<<10)
	for {
		last := r.sandbox.hasEnded()
		n, err := r.sandbox.master.Read(buf)
		if n > 0 && r.out != nil {
			if _, err := r.out.Write(buf[:n]); err != nil {
				r.hangUp()
				return
			}
			continue
		}
		if last || errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			select {
			case <-r.sandbox.ended:
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
}

// hangUp is for a reader of ours that is gone: the sandbox's terminal is
// emptied into nothing, and the command told as a closed window tells it.
func (r *Relay) hangUp() {
	select {
	case r.interrupted <- unix.SIGHUP:
	default:
	}
	buf := make([]byte, 32<<10)
	for !r.sandbox.hasEnded() {
		if _, err := r.sandbox.master.Read(buf); err != nil {
			select {
			case <-r.sandbox.ended:
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
}

// copyIn hands on what comes from the caller, until wake is closed on its
// other end. Past the end of a file the command sees one too.
func (r *Relay) copyIn(wake *os.File) {
	buf := make([]byte, 4<<10)
	in := int(r.in.Fd())
	end := byte('\n')
	for {
		poll := []unix.PollFd{{Fd: int32(in), Events: unix.POLLIN}, {Fd: int32(wake.Fd()), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, -1); err == unix.EINTR {
			continue
		}
		if poll[1].Revents != 0 {
			return
		}
		n, err := unix.Read(in, buf)
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		if n <= 0 || err != nil {
			if r.saved == nil {
				r.endOfFile(end)
			}
			return
		}
		end = buf[n-1]
		if _, err := r.sandbox.master.Write(buf[:n]); err != nil {
			return
		}
		r.noticeInterrupt(buf[:n])
	}
}

// endOfFile types what ends the input: once at the beginning of a line, twice
// behind a piece of one.
func (r *Relay) endOfFile(last byte) {
	t, ok := r.termios()
	if !ok || t.Lflag&unix.ICANON == 0 {
		return
	}
	eof := []byte{t.Cc[unix.VEOF]}
	if last != '\n' {
		eof = append(eof, eof[0])
	}
	r.sandbox.master.Write(eof)
}

// noticeInterrupt looks whether the interrupt key was typed in vain: where the
// command itself is in the foreground, and pid 1 without a handler.
func (r *Relay) noticeInterrupt(typed []byte) {
	t, ok := r.termios()
	if !ok || t.Lflag&unix.ISIG == 0 || bytes.IndexByte(typed, t.Cc[unix.VINTR]) < 0 {
		return
	}
	foreground := 0
	r.control(func(fd int) { foreground, _ = unix.IoctlGetInt(fd, unix.TIOCGPGRP) })
	if foreground == r.sandbox.pid && r.sandbox.unmoved(unix.SIGINT) {
		select {
		case r.interrupted <- unix.SIGINT:
		default:
		}
	}
}

// termios are the settings of the sandbox's terminal.
func (r *Relay) termios() (*unix.Termios, bool) {
	var t *unix.Termios
	err := os.ErrClosed
	r.control(func(fd int) { t, err = unix.IoctlGetTermios(fd, unix.TCGETS) })
	return t, err == nil
}

// take does what a signal means for the relay and tells whether the signal
// was for it alone.
func (r *Relay) take(sig syscall.Signal) bool {
	switch sig {
	case unix.SIGWINCH:
		r.resize()
	case unix.SIGTSTP:
		// Somebody stops us from outside: the shell gets its terminal back.
		r.restore()
		stop()
		r.raw()
		r.resize()
	case unix.SIGCONT:
		r.raw()
		r.resize()
	case unix.SIGPIPE: // ours, of which copyOut knows
	default:
		return false
	}
	return true
}

// stop stops this process until it is continued. The signal goes to the
// calling thread, which then does not return before.
func stop() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGSTOP)
}

// Close ends the relay and gives the caller's terminal its state back. A nil
// Relay has none.
func (r *Relay) Close() error {
	if r == nil {
		return nil
	}
	r.once.Do(func() {
		r.wake.Close()
		r.sandbox.master.SetWriteDeadline(time.Unix(1, 0)) // of what is typed and nobody reads
		<-r.inDone
		r.restore()
	})
	return nil
}

// drain waits for the rest of the output, or for a signal that ends the
// waiting.
func (r *Relay) drain(signals <-chan os.Signal) {
	for {
		select {
		case <-r.outDone:
			return
		case sig := <-signals:
			switch sig {
			case unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT:
				return
			}
		}
	}
}
