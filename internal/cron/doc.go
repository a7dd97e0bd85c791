// Package cron says when a schedule runs.
//
// It promises four things to the panel, the API and the engines alike:
//
//   - [Parse] takes a cron expression of five fields, or one of @yearly,
//     @monthly, @weekly, @daily and @hourly, and the name of a time zone, and
//     refuses in one sentence what is neither, what never runs, and what another
//     cron would read differently.
//   - [Schedule.Next] runs at a wall clock time once a day, on the nights that
//     daylight saving begins and ends too: a time that the clock skips is the
//     first instant after the gap, one that it shows twice is the first of the
//     two. A schedule of every hour follows the hours that pass instead: it is
//     not held up by the hour that is repeated, and makes none up.
//   - [Schedule.Count] counts what a stretch of time holds, up to a limit.
//   - [Schedule.Words] says it in English.
//
// A day of the month and a day of the week that are both given are either of the
// two, as in every crontab. The time zones are those of Go's time/tzdata where
// the machine has none.
//
// It does not know what runs.
package cron
