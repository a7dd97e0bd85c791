// Package command is what the program's command lines share: streams that a
// terminal may be behind, exit codes (0 done, 2 a line that cannot be read, an
// error's own, else 1), results as a table or JSON, and the refusal of words.
//
// It does not know what the commands do. The mothership's are in cmd/mothership,
// algo-install's and the satellite's in packages below it.
package command
