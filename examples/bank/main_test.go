package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
)

func TestDay(t *testing.T) {
	for seed := range 5 {
		var out, errs strings.Builder
		require.Zero(t, run([]string{"-transfers", "500", "-seed", fmt.Sprint(seed)}, nil, &out, &errs), errs.String())
		require.Empty(t, errs.String())
		require.Regexp(t, `^ada 100, bob 100, cleo 100, dan 100, together 400
[1-9]\d\d transfers, [1-9]\d* more were refused
ada \d+, bob \d+, cleo \d+, dan \d+, together 400
the wait was refused: deadlock: /bank/bob in call to /bank/ada, /bank/ada in call to /bank/bob
ada \d+, bob \d+, cleo \d+, dan \d+, together 400
$`, out.String())
		var again strings.Builder
		require.Zero(t, run([]string{"-transfers", "500", "-seed", fmt.Sprint(seed)}, nil, &again, &errs))
		require.Equal(t, out.String(), again.String())
	}
}

// A transfer that can't be paid in is paid back, one that can't be paid moves nothing.
func TestTransfer(t *testing.T) {
	err := actor.Run(context.Background(), actor.Config{Logger: zap.NewNop()}, func(main *actor.Tasklet) error {
		from, to := &account{balance: 10}, &account{}
		from.ref = actor.Receiver(main, from.handle, actor.Name("from"))
		to.ref = actor.Receiver(main, to.handle, actor.Name("to"))
		require.NoError(t, transfer(main, from, to, 10))
		err := transfer(main, from, to, 1)
		require.ErrorIs(t, err, errOverdraft)
		require.EqualError(t, err, "from pays to 1: overdraft")
		require.Equal(t, [2]int{0, 10}, [2]int{from.balance, to.balance})
		from.ref.Kill()
		require.ErrorIs(t, from.ref.Join(main), actor.ErrKilled)
		require.ErrorIs(t, transfer(main, to, from, 3), mailbox.ErrClosed)
		require.Equal(t, 10, to.balance)
		_, err = work(main, []*account{from}, 1, rand.New(rand.NewPCG(1, 1)))
		require.ErrorIs(t, err, mailbox.ErrClosed)
		to.guarantor = &account{balance: 7}
		to.guarantor.ref = actor.Receiver(main, to.guarantor.handle)
		most, err := to.limit(main)
		require.NoError(t, err)
		require.Equal(t, 17, most)
		return nil
	})
	require.NoError(t, err)
}

func TestUsage(t *testing.T) {
	for args, want := range map[string]string{
		"-transfers -1": "-transfers must not be negative",
		"-transfers x":  `invalid value "x" for flag -transfers`,
		"-rob":          "flag provided but not defined: -rob",
		"money":         "there are no arguments",
	} {
		var out, errs strings.Builder
		require.Equal(t, 2, run(strings.Fields(args), nil, &out, &errs), args)
		require.Contains(t, errs.String(), want)
		require.Empty(t, out.String())
	}
}
