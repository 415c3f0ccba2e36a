//go:build !amd64

package probe

// archCalls are those that only this architecture has.
var archCalls = [...]call{}
