// Package schedule runs a function at the times of a cron expression, in a tasklet that can be
// supervised and that costs no stack while it waits. It uses the clock of the system, so a test can
// run a year of a schedule in no time.
//
//	nightly, err := schedule.Parse("30 2 * * *", time.UTC)
//	if err != nil {
//		return err
//	}
//	body, err := schedule.Body(schedule.Spec{Schedule: nightly, Run: report})
//	if err != nil {
//		return err
//	}
//	_, err = supervisor.Start(t, supervisor.Spec{
//		Name:     "jobs",
//		Children: []supervisor.Child{{ID: "report", Body: body}},
//	})
//
// A run never overlaps the next one. Runs that are missed, because one before them took too long or
// because the tasklet was not there, are reported by the event runs_missed with their number. The
// tree in the log shows the time of the next run as the label next.
package schedule
