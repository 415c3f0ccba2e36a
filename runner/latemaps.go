package runner

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// lateMaps are the id maps of a user namespace that bubblewrap makes, and the
// pipes by which it tells that it has and is told to go on.
type lateMaps struct {
	uids, gids    []syscall.SysProcIDMap
	info, release *os.File

	done chan struct{} // closed when write is, and err set
	err  error
}

// mapped passes bubblewrap the pipes, and gives the options for them.
func (l *launch) mapped() ([]string, error) {
	infoR, infoW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	blockR, blockW, err := os.Pipe()
	if err != nil {
		infoR.Close()
		infoW.Close()
		return nil, err
	}
	l.maps = &lateMaps{uids: kernelMap(l.Command.UIDMap), gids: kernelMap(l.Command.GIDMap), info: infoR, release: blockW, done: make(chan struct{})}
	l.files = append(l.files, infoW, blockR)
	info, block := l.number(infoW), l.number(blockR)
	return []string{"--info-fd", strconv.Itoa(info), "--userns-block-fd", strconv.Itoa(block)}, nil
}

func kernelMap(m []bwrap.IDMapping) []syscall.SysProcIDMap {
	out := make([]syscall.SysProcIDMap, len(m))
	for i, e := range m {
		out[i] = syscall.SysProcIDMap{ContainerID: int(e.Inside), HostID: int(e.Outside), Size: int(e.Size)}
	}
	return out
}

// write waits until bubblewrap has made the namespace, writes the maps, and
// lets it go on. Where that fails bubblewrap is killed, which would go on
// without maps as well, and err says why.
func (m *lateMaps) write(s *Sandbox) {
	defer close(m.done)
	defer m.release.Close()
	defer m.info.Close()
	if m.err = m.tryWrite(s.bwrap); m.err != nil {
		s.kill()
	}
}

func (m *lateMaps) tryWrite(pid int) error {
	if _, err := io.ReadAll(m.info); err != nil {
		return err
	}
	// The process id in what was read is one of bubblewrap's namespace.
	list, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return err
	}
	children := strings.Fields(string(list))
	if len(children) == 0 {
		return nil // it has ended, and has said why
	}
	dir := "/proc/" + children[0]
	if err := os.WriteFile(dir+"/uid_map", formatIDMap(m.uids), 0); err != nil {
		return err
	}
	if err := os.WriteFile(dir+"/gid_map", formatIDMap(m.gids), 0); err != nil {
		return err
	}
	_, err = m.release.Write([]byte{'s'})
	return err
}
