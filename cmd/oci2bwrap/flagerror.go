package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagError says of what pflag could not read what a person can act on.
func flagError(cmd *cobra.Command, err error) error {
	if strings.Contains(err.Error(), " in -:") {
		return &hinted{err, "an image of an archive on stdin is named behind a --: oci2bwrap run -- -:REF"}
	}
	if refused := unknownFlag(cmd, err); refused != nil {
		return refused
	}
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		err = badValue(invalid)
	}
	return &hinted{err, fmt.Sprintf("%s --help lists the flags", cmd.CommandPath())}
}

// unknownFlag tells of a flag of podman's why it is none here; of another one
// it says nothing.
func unknownFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || cmd.Flags().Lookup("entrypoint") == nil {
		return nil
	}
	name := unknown.GetSpecifiedName()
	for _, p := range podmanFlags {
		if short := unknown.GetSpecifiedShortnames() != ""; short && name == p.short || !short && name == p.name {
			return p.refusal("")
		}
	}
	return nil
}

// badValue names flag and value, and what the value should have been.
func badValue(invalid *pflag.InvalidValueError) error {
	flag := invalid.GetFlag()
	switch kind := flag.Value.Type(); kind {
	case "int", "int64":
		return fmt.Errorf("--%s: %q is no whole number", flag.Name, invalid.GetValue())
	case "uint", "uint16", "uint64":
		return fmt.Errorf("--%s: %q is no whole number from 0 on that fits", flag.Name, invalid.GetValue())
	case "float64":
		return fmt.Errorf("--%s: %q is no number", flag.Name, invalid.GetValue())
	case "duration":
		return fmt.Errorf("--%s: %q is no time (such as 30s or 5m)", flag.Name, invalid.GetValue())
	case "bool":
		return fmt.Errorf("--%s: %q is neither true nor false", flag.Name, invalid.GetValue())
	}
	return fmt.Errorf("--%s: %q: %w", flag.Name, invalid.GetValue(), errors.Unwrap(invalid))
}
