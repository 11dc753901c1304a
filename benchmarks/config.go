package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nantian-gw/nantian/benchmarks/process"
	"github.com/nantian-gw/nantian/benchmarks/stats"
)

const (
	// configFiles have configRoutes routes together, as a folder of a platform team might.
	configFiles, configRoutes = 100, 10_000
	configEdits               = 15
	// configPatience bounds the wait for an edit.
	configPatience = 30 * time.Second
)

// configure measures how long an edit of one of many routes takes until traffic shows it, from the end of the file's write, and what CPU
// time it costs.
func (o *options) configure(ctx context.Context) error {
	b := &bench{o: o, program: o.gateway}
	var err error
	if b.dir, err = os.MkdirTemp("", "nantian-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if b.program == "" {
		if err := b.build(ctx); err != nil {
			return err
		}
	}
	c := &city{dir: filepath.Join(b.dir, "city"), bench: b}
	if err := c.start(ctx); err != nil {
		return err
	}
	defer c.proc.Stop()
	took, cpu, err := c.edits(ctx)
	if err != nil {
		return err
	}
	memory, err := c.proc.Memory()
	if err != nil {
		return err
	}
	low, high := took.Range()
	fmt.Printf("%d routes in %d files: served %.1f s after the start; an edit of one is served after %.0f ms (median of %d; %.0f to %.0f), for %.0f ms of CPU; %.0f MiB resident\n",
		configRoutes, configFiles, c.began.Seconds(), took.Median(), configEdits, low, high, cpu.Median(), float64(memory)/(1<<20))
	return nil
}

// city is a gateway with many routes.
type city struct {
	*bench
	dir, addr string
	proc      *process.Process
	began     time.Duration
}

func (c *city) start(ctx context.Context) (err error) {
	if c.addr, err = freeAddr(); err != nil {
		return err
	}
	admin, err := freeAddr()
	if err != nil {
		return err
	}
	if err := os.Mkdir(c.dir, 0o700); err != nil {
		return err
	}
	for n := range configFiles {
		if err := c.write(n, "v0"); err != nil {
			return err
		}
	}
	start := time.Now()
	if c.proc, err = process.Start(ctx, c.addr, c.program, "run", "-f", c.dir, "--admin", admin); err != nil {
		return err
	}
	if err = c.await(ctx, configFiles-1, "v0"); err != nil {
		c.proc.Stop()
	}
	c.began = time.Since(start)
	return err
}

// write writes a file of routes, of which the first tells its version by a redirect.
func (c *city) write(file int, version string) error {
	var b bytes.Buffer
	if file == 0 {
		fmt.Fprintf(&b, "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: city, namespace: default}\n"+
			"spec: {gatewayClassName: nantian, listeners: [{name: http, protocol: HTTP, port: %s}]}\n", portOf(c.addr))
	}
	for n := range configRoutes / configFiles {
		v := "v0"
		if n == 0 {
			v = version
		}
		fmt.Fprintf(&b, "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r%[1]d-%[2]d, namespace: default}\nspec:\n"+
			"  parentRefs: [{name: city}]\n  hostnames: [h%[1]d-%[2]d.example.com]\n  rules:\n"+
			"  - filters: [{type: RequestRedirect, requestRedirect: {hostname: %[3]s.example.com}}]\n", file, n, v)
	}
	return os.WriteFile(filepath.Join(c.dir, fmt.Sprintf("routes-%d.yaml", file)), b.Bytes(), 0o600)
}

// await waits until the first route of a file is served in a version.
func (c *city) await(ctx context.Context, file int, version string) error {
	ctx, cancel := context.WithTimeout(ctx, configPatience)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.addr+"/", nil)
		if err != nil {
			return err
		}
		req.Host = fmt.Sprintf("h%d-0.example.com", file)
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err == nil {
			resp.Body.Close()
			if strings.Contains(resp.Header.Get("Location"), "//"+version+".") {
				return nil
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s of %s is not served: %w", version, req.Host, ctx.Err())
		}
		time.Sleep(time.Millisecond)
	}
}

// edits edits routes one after the other, and gives the milliseconds of each.
func (c *city) edits(ctx context.Context) (took, cpu stats.Sample, err error) {
	for n := range configEdits {
		time.Sleep(time.Second) // what the edit before left to do is done
		before, err := c.proc.CPU()
		if err != nil {
			return nil, nil, err
		}
		file, version := 1+n*37%(configFiles-1), fmt.Sprint("v", n+1)
		if err := c.write(file, version); err != nil {
			return nil, nil, err
		}
		start := time.Now()
		if err := c.await(ctx, file, version); err != nil {
			return nil, nil, err
		}
		took = append(took, float64(time.Since(start).Microseconds())/1000)
		time.Sleep(time.Second / 2)
		after, err := c.proc.CPU()
		if err != nil {
			return nil, nil, err
		}
		cpu = append(cpu, float64((after-before).Microseconds())/1000)
	}
	return took, cpu, nil
}
