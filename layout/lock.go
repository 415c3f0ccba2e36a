package layout

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lock is an flock(2) on a file of the cache. It ends with the process, and
// isn't passed on to children.
type lock struct {
	f *os.File
}

var errLocked = errors.New("locked by another process")

// openLock opens the lock file at path, without locking it yet. Where the
// cache can't be written to, nobody can change it either: a missing lock file
// then gives a lock that locks nothing.
func openLock(path string) (*lock, error) {
	f, err := os.OpenFile(path, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = os.OpenFile(path, os.O_RDONLY|os.O_CREATE, 0o600)
		if errors.Is(err, unix.EROFS) || errors.Is(err, fs.ErrPermission) {
			return &lock{}, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return &lock{f}, nil
}

// try locks, shared or exclusively, or returns errLocked. A lock that was held
// is lost when this fails.
func (l *lock) try(how int) error {
	if l.f == nil {
		if how == unix.LOCK_EX {
			return unix.EROFS
		}
		return nil
	}
	err := retry(func() error { return unix.Flock(int(l.f.Fd()), how|unix.LOCK_NB) })
	if err == unix.EWOULDBLOCK {
		return errLocked
	}
	return err
}

// stale says that the file was removed or replaced, so that others lock
// another one.
func (l *lock) stale(path string) bool {
	if l.f == nil {
		return false
	}
	here, err := l.f.Stat()
	if err != nil {
		return true
	}
	there, err := os.Stat(path)
	return err != nil || !os.SameFile(here, there)
}

func (l *lock) close() error {
	if l == nil || l.f == nil {
		return nil
	}
	return l.f.Close()
}

// pause waits before the next try, longer each time.
func pause(ctx context.Context, round int) error {
	t := time.NewTimer(min(time.Millisecond<<min(round, 5), 25*time.Millisecond))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
