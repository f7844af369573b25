// Ships the lines of its standard input to a log-ingest, by the fixed part of the contract:
//
//	client ADDRESS lock-step|pipelined WORKER
//
// When all lines are answered it prints what the answers were, as JSON.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	pb "interop/gen/ottoscaler/v1"
)

const task = "interop"

// What the server's answers were.
type summary struct {
	Acked   int            `json:"acked"`
	Dropped map[string]int `json:"dropped"`
	Retried map[string]int `json:"retried"`
	Resumed int            `json:"resumed"`
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 {
		log.Fatal("usage: client ADDRESS lock-step|pipelined WORKER")
	}
	address, mode, worker := os.Args[1], os.Args[2], os.Args[3]
	connection, err := connect(address)
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	client := pb.NewLogStreamingServiceClient(connection)
	total := &summary{Dropped: map[string]int{}, Retried: map[string]int{}}
	switch mode {
	case "lock-step":
		err = lockStep(client, worker, total)
	case "pipelined":
		err = newPipeline(client, worker, total).run()
	default:
		err = fmt.Errorf("unknown mode %q", mode)
	}
	if err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(total); err != nil {
		log.Fatal(err)
	}
}

// Comes back soon where a server is started again: by default gRPC waits for up to two minutes.
func connect(address string) (*grpc.ClientConn, error) {
	again := backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second}
	return grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: again, MinConnectTimeout: 5 * time.Second}))
}

// One entry, one answer. It never registers and numbers nothing.
func lockStep(client pb.LogStreamingServiceClient, worker string, total *summary) error {
	stream, err := client.StreamLogs(context.Background())
	if err != nil {
		return err
	}
	err = readLines(func(line string) error {
		entry := newEntry(worker, line, 0)
		for {
			if err := stream.Send(entry); err != nil {
				return err
			}
			response, err := stream.Recv()
			if err != nil {
				return err
			}
			if response.Status != pb.LogResponse_RETRY {
				total.count(response)
				return nil
			}
			time.Sleep(total.retry(response))
		}
	})
	if err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("the stream ended with %v", err)
	}
	return nil
}

func newEntry(worker, line string, sequence int64) *pb.LogEntry {
	return &pb.LogEntry{
		WorkerId:  worker,
		TaskId:    task,
		Timestamp: time.Now().UTC().Format(time.RFC3339Nano),
		Level:     "info",
		Source:    "stdout",
		Message:   line,
		Sequence:  sequence,
	}
}

// Calls take for each line of the standard input.
func readLines(take func(line string) error) error {
	input := bufio.NewReader(os.Stdin)
	for {
		line, err := input.ReadString('\n')
		if line != "" {
			if err := take(strings.TrimSuffix(line, "\n")); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
