package apachekafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"heartbeat/internal/port"
	"heartbeat/internal/process"
)

const (
	stopGrace = 30 * time.Second
	pausePoll = 10 * time.Millisecond
	// startedLine is what the server logs once it is registered and serves clients.
	startedLine = "Kafka Server started"
)

// Node is one server, broker and controller in one. It keeps its ports and its data over restarts.
type Node struct {
	ID int // from 1

	jars, dir, directory                      string
	address, advertised, internal, controller string
	formatArgs                                []string
	log                                       *slog.Logger
	process                                   *process.Process // nil until first started
}

// newNode gives a node its directory and its addresses.
func newNode(id int, options Options, jars string, addresses []string) *Node {
	return &Node{
		ID: id, jars: jars, dir: filepath.Join(options.Dir, "node-"+strconv.Itoa(id)), directory: newUUID(),
		address: addresses[0], internal: addresses[1], controller: addresses[2],
		log: options.Logger.With("component", "apachekafka", "node", id),
	}
}

// freeAddresses returns addresses that differ: all nodes must know each other's before any of them listens.
func freeAddresses(n int) ([]string, error) {
	var addresses []string
	for len(addresses) < n {
		free, err := port.Choose(0, false)
		if err != nil {
			return nil, err
		}
		if address := port.Address(free); !slices.Contains(addresses, address) {
			addresses = append(addresses, address)
		}
	}
	return addresses, nil
}

// Address returns where the node itself listens for clients, whatever it advertises.
func (n *Node) Address() string { return n.address }

// Inner returns where nodes talk to each other, in plain text whatever clients must speak: the way in for a test that
// creates users.
func (n *Node) Inner() string { return n.internal }

// Start starts the node, for the first time or again, and returns once it serves clients.
func (n *Node) Start(ctx context.Context) error {
	output, err := os.OpenFile(filepath.Join(n.dir, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open log of node %d: %w", n.ID, err)
	}
	started := make(chan struct{})
	announce := sync.OnceFunc(func() { close(started) })
	began := time.Now()
	n.process, err = process.Start(process.Command{
		Path: "java", Args: javaArgs(n.jars, "kafka.Kafka", n.propertiesFile()), Dir: n.dir, DeathSignal: syscall.SIGKILL,
		Output: func(line string) {
			fmt.Fprintln(output, line)
			if strings.Contains(line, startedLine) {
				announce()
			}
		},
	})
	if err != nil {
		return errors.Join(fmt.Errorf("start node %d: %w", n.ID, err), output.Close())
	}
	go closeAfter(n.process, output)
	select {
	case <-started:
		n.log.Info("node is ready", "address", n.address, "took", time.Since(began).Round(time.Millisecond))
		return nil
	case <-n.process.Done():
		return fmt.Errorf("start node %d: %w", n.ID, n.process.Err())
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("start node %d: %w", n.ID, ctx.Err()), n.Kill())
	}
}

// closeAfter ends with the server that writes to the file.
func closeAfter(server *process.Process, output *os.File) {
	<-server.Done()
	output.Close()
}

// Stop shuts the node down cleanly: it hands over what it leads first.
func (n *Node) Stop(ctx context.Context) error {
	return n.process.Stop(ctx, stopGrace, syscall.SIGTERM)
}

// Kill ends the node at once, as a power cut would end its process. A node that does not run is no error.
func (n *Node) Kill() error {
	if n.process == nil {
		return nil
	}
	return n.process.Kill()
}

// Pause freezes the node with its connections open, until Resume, and returns once it stands still.
func (n *Node) Pause() error {
	if err := n.process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	poll := time.NewTicker(pausePoll)
	defer poll.Stop()
	for range int(stopGrace / pausePoll) {
		state, err := exec.Command("ps", "-o", "state=", "-p", strconv.Itoa(n.process.Pid())).Output()
		if err != nil {
			return fmt.Errorf("pause node %d: %w", n.ID, err)
		}
		if strings.HasPrefix(string(state), "T") {
			return nil
		}
		<-poll.C
	}
	return fmt.Errorf("pause node %d: it still runs after %v", n.ID, stopGrace)
}

// Resume lets a paused node go on.
func (n *Node) Resume() error { return n.process.Signal(syscall.SIGCONT) }

func (n *Node) propertiesFile() string { return filepath.Join(n.dir, "server.properties") }

// format writes the node's identity and the first set of controllers into its data directory.
func (n *Node) format(ctx context.Context) error {
	_, err := tool(ctx, n.jars, "kafka.tools.StorageTool", append(n.formatArgs, "--config", n.propertiesFile())...)
	return err
}

// properties returns our settings for one of some nodes: small buffers and few internal partitions, so that a node starts
// in two seconds and fits beside others, and no waiting for members that a test does not have.
func (n *Node) properties(nodes int, controllers string) map[string]string {
	replicas := strconv.Itoa(nodes)
	inSync := strconv.Itoa(min(nodes, 2))
	return map[string]string{
		"process.roles":                                    "broker,controller",
		"node.id":                                          strconv.Itoa(n.ID),
		"log.dirs":                                         filepath.Join(n.dir, "data"),
		"listeners":                                        "CLIENT://" + n.address + ",INTERNAL://" + n.internal + ",CONTROLLER://" + n.controller,
		"advertised.listeners":                             "CLIENT://" + n.advertised + ",INTERNAL://" + n.internal,
		"listener.security.protocol.map":                   "CLIENT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"inter.broker.listener.name":                       "INTERNAL",
		"controller.listener.names":                        "CONTROLLER",
		"controller.quorum.bootstrap.servers":              controllers,
		"auto.create.topics.enable":                        "false",
		"num.partitions":                                   "3",
		"default.replication.factor":                       replicas,
		"min.insync.replicas":                              inSync,
		"offsets.topic.num.partitions":                     "3",
		"offsets.topic.replication.factor":                 replicas,
		"transaction.state.log.num.partitions":             "3",
		"transaction.state.log.replication.factor":         replicas,
		"transaction.state.log.min.isr":                    inSync,
		"share.coordinator.state.topic.num.partitions":     "3",
		"share.coordinator.state.topic.replication.factor": replicas,
		"share.coordinator.state.topic.min.isr":            inSync,
		"group.initial.rebalance.delay.ms":                 "0",
		"log.cleaner.dedupe.buffer.size":                   "8388608",
	}
}

func (n *Node) writeProperties(properties map[string]string) error {
	if err := os.MkdirAll(n.dir, 0o755); err != nil {
		return fmt.Errorf("create directory of node %d: %w", n.ID, err)
	}
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		fmt.Fprintf(&text, "%s=%s\n", name, properties[name])
	}
	if err := os.WriteFile(n.propertiesFile(), []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("write settings of node %d: %w", n.ID, err)
	}
	return nil
}
