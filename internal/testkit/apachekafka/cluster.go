// Package apachekafka runs a real Apache Kafka of one or three nodes on this machine, for tests: what holds against it holds
// in production, which a fake can only suggest. It also runs Kafka's own command line tools.
//
// It refuses to serve production: nodes have small heaps, no security, and listen on the loopback address alone.
// A Cluster and its Nodes may be used from any goroutine, except that one Node is started and stopped by one goroutine
// at a time. It is not on the path of a reading. The jars come from scripts/fetch-kafka and need Java 17 or later.
package apachekafka

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Options say what to run. Dir must be given.
type Options struct {
	Dir        string            // data, settings and logs, one directory a node
	Nodes      int               // each is broker and controller; 0 is 1
	Jars       string            // "" looks for what scripts/fetch-kafka left
	Properties map[string]string // server settings beyond ours, and instead of ours

	// Advertise, where set, is told each node's address for clients and returns what to tell clients instead, so that a proxy
	// can stand between. Nodes talk to each other directly all the same.
	Advertise func(node int, address string) (advertised string, err error)

	Logger *slog.Logger // nil logs nothing; what the servers print is in Dir in any case
}

// Cluster is a running Apache Kafka. Topics have as many replicas as there are nodes, and of three replicas two must
// be in sync; topics are not created by themselves.
type Cluster struct {
	nodes []*Node
	jars  string
}

// Start creates the cluster in an empty directory and returns once every node serves clients.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	c, err := newCluster(options)
	if err != nil {
		return nil, fmt.Errorf("start Apache Kafka: %w", err)
	}
	group, groupCtx := errgroup.WithContext(ctx)
	for _, node := range c.nodes {
		group.Go(func() error { return errors.Join(node.format(groupCtx), groupCtx.Err()) })
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("start Apache Kafka: %w", err)
	}
	group, groupCtx = errgroup.WithContext(ctx)
	for _, node := range c.nodes { // no node is ready before most of them are there
		group.Go(func() error { return node.Start(groupCtx) })
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("start Apache Kafka: %w", errors.Join(err, c.Close()))
	}
	return c, nil
}

func newCluster(options Options) (*Cluster, error) {
	if options.Nodes == 0 {
		options.Nodes = 1
	}
	if options.Nodes != 1 && options.Nodes != 3 {
		return nil, fmt.Errorf("%d nodes: choose 1 or 3", options.Nodes)
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	jars, err := findJars(options.Jars)
	if err != nil {
		return nil, err
	}
	c := &Cluster{jars: jars}
	addresses, err := freeAddresses(3 * options.Nodes)
	if err != nil {
		return nil, err
	}
	for i := range options.Nodes {
		c.nodes = append(c.nodes, newNode(i+1, options, jars, addresses[3*i:3*i+3]))
	}
	return c, c.configure(options)
}

// configure tells every node about all of them.
func (c *Cluster) configure(options Options) error {
	clusterID := newUUID()
	var controllers, voters []string
	for _, node := range c.nodes {
		controllers = append(controllers, node.controller)
		voters = append(voters, fmt.Sprintf("%d@%s:%s", node.ID, node.controller, node.directory))
	}
	for _, node := range c.nodes {
		node.advertised = node.address
		if options.Advertise != nil {
			var err error
			if node.advertised, err = options.Advertise(node.ID, node.address); err != nil {
				return fmt.Errorf("advertise node %d: %w", node.ID, err)
			}
		}
		node.formatArgs = []string{"format", "--cluster-id", clusterID, "--initial-controllers", strings.Join(voters, ",")}
		properties := node.properties(len(c.nodes), strings.Join(controllers, ","))
		maps.Copy(properties, options.Properties)
		if err := node.writeProperties(properties); err != nil {
			return err
		}
	}
	return nil
}

// Node returns a node by its number, from 1.
func (c *Cluster) Node(id int) *Node { return c.nodes[id-1] }

// Bootstrap returns the addresses for clients, comma-separated, of all nodes.
func (c *Cluster) Bootstrap() string {
	var addresses []string
	for _, node := range c.nodes {
		addresses = append(addresses, node.advertised)
	}
	return strings.Join(addresses, ",")
}

// Tool runs one of Kafka's tools with the cluster's jars; see the function of this name.
func (c *Cluster) Tool(ctx context.Context, class string, args ...string) (string, error) {
	return tool(ctx, c.jars, class, args...)
}

// Close kills all nodes. It does not wait for clean shutdowns: the data belongs to a test that is over.
func (c *Cluster) Close() error {
	var errs []error
	for _, node := range c.nodes {
		errs = append(errs, node.Kill())
	}
	return errors.Join(errs...)
}

// newUUID returns an id in Kafka's spelling, which must not start like an option.
func newUUID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails
	id[0] &= 0x7f
	return base64.RawURLEncoding.EncodeToString(id[:])
}
