//go:build !tasklet_trampoline

package core

// swapsPerSwitch is the price of a switch from one parked task to another.
const swapsPerSwitch = 1
