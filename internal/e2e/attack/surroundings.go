package main

import (
	"errors"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// surroundings are what a sandbox may share with its host: keys, sockets, IPC.
func surroundings() []attack {
	return []attack{
		{"find a key of the caller's session", func(*target) error {
			id, err := unix.KeyctlSearch(unix.KEY_SPEC_SESSION_KEYRING, "user", "oci2bwrap-attack", 0)
			if err == nil {
				buf := make([]byte, 64)
				_, err = unix.KeyctlBuffer(unix.KEYCTL_READ, id, buf, 0)
			}
			return err
		}},
		{"find a key of the caller's user", func(*target) error {
			_, err := unix.KeyctlSearch(unix.KEY_SPEC_USER_KEYRING, "user", "oci2bwrap-attack", 0)
			return err
		}},
		{"add a key", func(*target) error {
			_, err := unix.AddKey("user", "attack", []byte("x"), unix.KEY_SPEC_PROCESS_KEYRING)
			return err
		}},
		{"connect to an abstract socket outside", func(t *target) error {
			c, err := net.DialTimeout("unix", "@"+t.abstract, time.Second)
			if err == nil {
				c.Close()
			}
			return err
		}},
		{"connect to a port of the host", func(t *target) error {
			c, err := net.DialTimeout("tcp", "127.0.0.1:"+t.port, time.Second)
			if err == nil {
				c.Close()
			}
			return err
		}},
		{"send raw packets", func(*target) error {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)
			if err == nil {
				unix.Close(fd)
			}
			return err
		}},
		{"listen to all packets", func(*target) error {
			fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0x0300)
			if err == nil {
				unix.Close(fd)
			}
			return err
		}},
		{"configure the network", func(*target) error {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			ifr, err := unix.NewIfreq("lo")
			if err != nil {
				return err
			}
			ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOOPBACK)
			return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
		}},
		{"attach shared memory of the host", func(t *target) error {
			_, err := unix.SysvShmGet(t.shm, 1, 0)
			return err
		}},
		{"talk to hypervisors by vsock", func(*target) error {
			fd, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0)
			if err == nil {
				unix.Close(fd)
			}
			return err
		}},
	}
}

// terminal tries to type into the terminal that stdin is.
func terminal(*target) error {
	typed := "x"
	var errs []error
	try := func(err error) bool { errs = append(errs, err); return err == nil }
	push := func() error { return unix.IoctlSetPointerInt(0, unix.TIOCSTI, int(typed[0])) }
	if _, err := unix.IoctlGetTermios(0, unix.TCGETS); err != nil {
		return errors.New("no terminal: " + err.Error())
	}
	if try(push()) {
		return nil
	}
	_, _ = unix.Setsid() // a session without a terminal could take one
	if try(unix.IoctlSetInt(0, unix.TIOCSCTTY, 1)) || try(push()) {
		return nil
	}
	if try(unix.IoctlSetPointerInt(0, unix.TIOCLINUX, 2)) {
		return nil
	}
	if f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0); try(err) {
		return f.Close()
	}
	return errors.Join(errs...)
}
