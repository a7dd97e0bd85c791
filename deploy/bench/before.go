package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// pairs is how often `bench before-queue` plays the queue's draws with each
// program.
const pairs = 3

// beforeOf returns the measurement that compares this program with an older
// one, whose path is in BENCH_BEFORE, by turns in one run.
func beforeOf(compare func(ctx context.Context, older, binary string, out io.Writer) error) func(context.Context, string, io.Writer) error {
	return func(ctx context.Context, binary string, out io.Writer) error {
		older := os.Getenv("BENCH_BEFORE")
		if older == "" {
			return errors.New("set BENCH_BEFORE to the path of an older mothership")
		}
		return compare(ctx, older, binary, out)
	}
}

// enginesBefore compares both programs' engines on small calls.
func enginesBefore(ctx context.Context, older, binary string, out io.Writer) error {
	b, err := newEngineBench(binary)
	if err != nil {
		return err
	}
	defer b.stop()
	upstream, err := b.start(ctx, b.self, "upstream")
	if err != nil {
		return err
	}
	var all []*contender
	for _, slots := range []int{benchSlots, ampleSlots} {
		for _, of := range []struct{ name, binary string }{{"before", older}, {"now", binary}} {
			b.binary = of.binary
			c, err := b.engine(ctx, fmt.Sprintf("%s-%d", of.name, slots), []string{upstream.addr}, slots, "--access-log=false")
			if err != nil {
				return err
			}
			all = append(all, c)
		}
	}
	if err := b.callSmall(ctx, all); err != nil {
		return err
	}
	fmt.Fprintf(out, "small JSON calls, this engine's of the older one's, medians of %d rounds' ratios\n", smallRounds)
	for i := 0; i < len(all); i += 2 {
		was, is := all[i], all[i+1]
		fmt.Fprintf(out, "  %-10s %.3f of the calls/s (%.0f of %.0f), %.3f of the p99 (%.2f of %.2f ms)\n", is.name,
			median(ratios(is.rates, was.rates)), median(is.rates), median(was.rates),
			median(ratios(is.p99s, was.p99s)), median(is.p99s), median(was.p99s))
	}
	return nil
}

// queueBefore compares what two engines of each program make of the same draws.
func queueBefore(ctx context.Context, older, binary string, out io.Writer) error {
	p99s := map[string][]float64{}
	for round := range pairs {
		for i := range 2 {
			program := []string{older, binary}[(round+i)%2]
			runs, err := queueRuns(ctx, program)
			if err != nil {
				return err
			}
			got, drawn := make([]time.Duration, len(runs)), make([]draw, len(runs))
			for i, r := range runs {
				got[i], drawn[i] = r.answered-r.sent, draw{r.sent, r.service}
			}
			ideal := percentile(simulate(drawn, func() int { return -1 }), .99)
			p99s[program] = append(p99s[program], float64(percentile(got, .99))/float64(ideal))
		}
	}
	fmt.Fprintf(out, "queue: p99 of one ideal queue's with the same draws, medians of %d runs: %.3f now, %.3f before\n", pairs, median(p99s[binary]), median(p99s[older]))
	return nil
}

// transfersBefore compares get and push of both programs.
func transfersBefore(ctx context.Context, older, binary string, out io.Writer) error {
	return withImages(ctx, binary, out, func(b *bench, l *moved, _ []string) error {
		was := *b
		was.binary = older
		programs := []struct {
			name string
			*bench
		}{{"before: algo-install", &was}, {"algo-install", b}}
		var gets, pushes []tool
		for _, p := range programs {
			root := filepath.Join(b.dir, "deployment-"+p.name[:4])
			if _, err := p.get(ctx, l, root); err != nil {
				return err
			}
			gets = append(gets, tool{p.name + " get", func(ctx context.Context, place string) (sample, error) { return p.get(ctx, l, place) }})
			pushes = append(pushes, tool{p.name + " push", func(ctx context.Context, place string) (sample, error) {
				registry, err := b.startRegistry(ctx, "distribution v3", place)
				if err != nil {
					return sample{}, err
				}
				defer registry.stop()
				return p.push(ctx, l, root, registry.host)
			}})
		}
		return errors.Join(
			b.compare(ctx, "get: four images, 400 MB, 160 MB of it shared", gets, wantedRounds()),
			b.compare(ctx, "push: the same, into an empty registry", pushes, wantedRounds()))
	})
}
