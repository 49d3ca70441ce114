package main

import (
	"testing"

	"github.com/gotasklet/tasklet/actor/peers/work/worktest"
)

func TestWork(t *testing.T) { worktest.Test(t, peer) }
