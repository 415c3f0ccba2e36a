package runner

import (
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// maxReport is more than a socket takes in one message.
const maxReport = 256 << 10

// readReport reads what the init says; nothing once the command has been
// executed, since that closes the socket.
func readReport(sock int) ([]byte, error) {
	buf := make([]byte, maxReport)
	for {
		n, err := unix.Read(sock, buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return buf[:n], nil
	}
}

// awaitReady waits for the init's first word and tells its process id, and the
// master of its terminal where it has one. The kernel puts the id on the
// message, as a number of our pid namespace.
func awaitReady(sock int) (pid int, master *os.File, err error) {
	buf, oob := make([]byte, 1), make([]byte, unix.CmsgSpace(unix.SizeofUcred)+unix.CmsgSpace(4))
	var n, oobn int
	for {
		n, oobn, _, _, err = unix.Recvmsg(sock, buf, oob, unix.MSG_CMSG_CLOEXEC)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return 0, nil, err
	}
	if n == 0 {
		return 0, nil, io.EOF
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return 0, nil, err
	}
	for _, m := range msgs {
		if cred, err := unix.ParseUnixCredentials(&m); err == nil {
			pid = int(cred.Pid)
		} else if fds, err := unix.ParseUnixRights(&m); err == nil && len(fds) == 1 {
			master = os.NewFile(uintptr(fds[0]), "terminal")
		}
	}
	if pid == 0 {
		return 0, nil, errors.New("the init's message names no sender")
	}
	return pid, master, nil
}

// shortened is a message that a socket takes whatever the names in it, without the
// middle of a long one.
func shortened(msg string) string {
	const half = 2 << 10
	if len(msg) <= 2*half {
		return msg
	}
	return strings.ToValidUTF8(msg[:half], "") + "..." + strings.ToValidUTF8(msg[len(msg)-half:], "")
}
