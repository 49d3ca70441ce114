//go:build tasklet_trampoline

package core

// swapsPerSwitch is the price of a switch from one parked task to another: to the driver, and on.
const swapsPerSwitch = 2
