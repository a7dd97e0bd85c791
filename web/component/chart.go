package component

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Chart is a small chart over time: bars, or a line, with gaps where there is
// no point.
type Chart struct {
	Name     string
	Now      string // the last value in words
	Summary  string // the whole in words, for who does not see it
	From, To time.Time
	Step     time.Duration // how long a point lasts
	Points   []ChartPoint
	Line     bool
	Top      string // the largest value in words
}

// ChartPoint is a value at a time; Bad is the part of it that is trouble.
type ChartPoint struct {
	At         time.Time
	Value, Bad float64
}

// The size of a chart's drawing area, in its own units.
const (
	chartWidth  = 480
	chartHeight = 72
)

func (c Chart) top() float64 {
	top := 0.0
	for _, p := range c.Points {
		top = math.Max(top, p.Value)
	}
	return math.Max(top, 1e-9)
}

func (c Chart) x(at time.Time) float64 {
	return chartWidth * float64(at.Sub(c.From)) / float64(max(c.To.Sub(c.From), 1))
}

// bars returns the path of the values, or of their bad part.
func (c Chart) bars(bad bool) string {
	var b strings.Builder
	top := c.top()
	width := math.Max(chartWidth*float64(c.Step)/float64(max(c.To.Sub(c.From), 1))*.8, 1)
	for _, p := range c.Points {
		v := p.Value
		if bad {
			v = p.Bad
		}
		if v <= 0 {
			continue
		}
		h := math.Max(chartHeight*v/top, 1)
		fmt.Fprintf(&b, "M%.1f %dh%.1fv%.1fh%.1fz", c.x(p.At), chartHeight, width, -h, -width)
	}
	return b.String()
}

// line returns the path through the values, broken where points are missing.
func (c Chart) line() string {
	var b strings.Builder
	top := c.top()
	var last time.Time
	for _, p := range c.Points {
		command := "L"
		if last.IsZero() || p.At.Sub(last) > c.Step*3/2 {
			command = "M"
		}
		last = p.At
		y := chartHeight - (chartHeight-2)*p.Value/top
		fmt.Fprintf(&b, "%s%.1f %.1f", command, c.x(p.At), y)
		if command == "M" {
			fmt.Fprintf(&b, "l%.1f 0", math.Max(chartWidth*float64(c.Step)/float64(max(c.To.Sub(c.From), 1))*.5, 1))
		}
	}
	return b.String()
}

// Seconds returns how long something took, as people read it.
func Seconds(d time.Duration) string {
	switch {
	case d <= 0:
		return "–"
	case d < time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.0f min", d.Minutes())
}

// Number returns a count with its thousands apart.
func Number(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}
