package main

import (
	"encoding/json"
	"errors"
	"time"
)

// orders are what hello does on demand, when its JSON input is an object with
// any of these.
type orders struct {
	Raise string  `json:"raise"` // raise an error with this message
	Sleep float64 `json:"sleep"` // take so many seconds
	Print string  `json:"print"` // write this to the call's stdout
}

// hello greets whom the text names. JSON and binary come back as they are.
func hello(in input) (output, error) {
	switch {
	case in.text != nil:
		return output{Value: "Hello " + *in.text}, nil
	case in.json == nil:
		return output{Value: in.binary}, nil
	}
	var o orders
	if json.Unmarshal(in.json, &o) != nil {
		o = orders{} // not an object: nothing is ordered
	}
	time.Sleep(time.Duration(o.Sleep * float64(time.Second)))
	if o.Raise != "" {
		return output{Stdout: o.Print}, errors.New(o.Raise)
	}
	return output{Value: in.json, Stdout: o.Print}, nil
}
