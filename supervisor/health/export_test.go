package health

import "net/http"

// Surveys returns the number of surveys that h has made.
func Surveys(h http.Handler) int { return h.(*handler).survey.walks }
