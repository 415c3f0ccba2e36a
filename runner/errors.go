package runner

// Error is a failure of the runner or of bubblewrap, before the command ran.
type Error struct {
	Msg    string
	Remedy string // "" where none is known
	Err    error
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Msg
	}
	return e.Msg + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// Hint gives the remedy, "" where none is known.
func (e *Error) Hint() string { return e.Remedy }

// ExecError says that the sandbox stood but its command could not be run.
// Code is 127 when the command was not found, 126 when it can't be executed,
// 125 when the init could not set the process up.
type ExecError struct {
	Code int    `json:"code"`
	Msg  string `json:"msg"`
}

func (e *ExecError) Error() string { return e.Msg }
