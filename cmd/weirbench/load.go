package main

import (
	"context"
	"io"
)

func runLoad(context.Context, []string, io.Writer, io.Writer) error { return errUsage }
