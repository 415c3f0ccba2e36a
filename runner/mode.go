package runner

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

type unixStat = syscall.Stat_t

func isUnmapped(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EOVERFLOW)
}
