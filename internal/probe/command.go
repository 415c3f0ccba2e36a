package probe

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"strconv"
	"syscall"
)

// CommandGroup holds what the command did, where it was run: its "exit
// status", its "stdout" and "stderr".
const CommandGroup = "command"

// maxOutput is how much of each stream is reported as it is; of the rest there
// is a digest.
const maxOutput = 1 << 20

// run runs the command as a child of the probe, which is process 1, and waits
// for it.
func (f Facts) run(args []string) {
	file := f["process"][foundAt]
	if len(args) == 0 || file == notFound {
		f.set(CommandGroup, "exit status", "127, not found")
		return
	}
	status, outputs, err := runCommand(file, args)
	if err != nil {
		f.set(CommandGroup, "exit status", "126, "+fault(err))
		return
	}
	f.set(CommandGroup, "exit status", status)
	for i, name := range []string{"stdout", "stderr"} {
		f.set(CommandGroup, name, Escape(string(outputs[i].head)))
		if outputs[i].more > 0 {
			f.set(CommandGroup, name+" after "+strconv.Itoa(maxOutput)+" bytes",
				strconv.FormatInt(outputs[i].more, 10)+" bytes, sha256 "+outputs[i].digest)
		}
	}
}

// output is what came out of one stream.
type output struct {
	head   []byte
	more   int64
	digest string
}

func runCommand(file string, args []string) (status string, outputs [2]output, err error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return "", outputs, err
	}
	defer null.Close()
	files := []*os.File{null}
	done := make(chan struct{}, 2)
	for i := range outputs {
		r, w, err := os.Pipe()
		if err != nil {
			return "", outputs, err
		}
		defer w.Close()
		defer r.Close()
		files = append(files, w)
		go func() {
			outputs[i] = collect(r)
			done <- struct{}{}
		}()
	}
	p, err := os.StartProcess(file, args, &os.ProcAttr{Files: files})
	if err != nil {
		return "", outputs, err
	}
	state, err := p.Wait()
	if err != nil {
		return "", outputs, err
	}
	// What the command has left running holds the pipes, and writes files. To
	// kill all that there is is only right where all of it is ours.
	if os.Getpid() == 1 {
		syscall.Kill(-1, syscall.SIGKILL)
	}
	for _, w := range files[1:] {
		w.Close()
	}
	<-done
	<-done
	ws := state.Sys().(syscall.WaitStatus)
	if ws.Signaled() {
		return "killed by " + ws.Signal().String(), outputs, nil
	}
	return strconv.Itoa(ws.ExitStatus()), outputs, nil
}

func collect(r io.Reader) output {
	head, _ := io.ReadAll(io.LimitReader(r, maxOutput))
	sum := sha256.New()
	more, _ := io.Copy(sum, r)
	return output{head, more, hex.EncodeToString(sum.Sum(nil))}
}
