// Sends the lines of the standard input as the log of one worker: send TASK
package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "example/gen/ottoscaler/v1"
)

func main() {
	task := os.Args[1]
	worker := task + "-" + rand.Text()
	address := cmp.Or(os.Getenv("OTTO_INGEST"), "127.0.0.1:50051")
	connection := must(grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials())))
	client := pb.NewLogStreamingServiceClient(connection)

	soon, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	registered := must(client.RegisterWorker(soon, &pb.WorkerRegistration{WorkerId: worker, TaskId: task}))
	cancel()
	if registered.Status != pb.RegistrationResponse_SUCCESS {
		log.Fatal(registered.Message)
	}

	stream := must(client.StreamLogs(context.Background()))
	sent := make(chan int64)
	go send(stream, worker, sent)
	// One answer for each entry, in their order.
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || answer.Status != pb.LogResponse_ACK {
			log.Fatal(answer, err)
		}
	}

	last := <-sent
	soon, cancel = context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	end := must(client.CompleteWorker(soon, &pb.WorkerCompletion{WorkerId: worker, LastSequence: last}))
	log.Printf("%d lines of %s are durable, complete: %v", last, worker, end.Complete)
}

// Send waits where HTTP/2 has no room until the server has read.
func send(stream pb.LogStreamingService_StreamLogsClient, worker string, sent chan<- int64) {
	var sequence int64
	lines := bufio.NewReader(os.Stdin)
	for {
		// Not by a Scanner: it gives up at a line of 64 KiB, and drops carriage returns.
		line, err := lines.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			log.Fatal(err)
		}
		if line != "" {
			sequence++
			line = strings.TrimSuffix(line, "\n")
			entry := &pb.LogEntry{WorkerId: worker, Message: strings.ToValidUTF8(line, "\uFFFD"), Sequence: sequence}
			if !utf8.ValidString(line) {
				entry.Raw = []byte(line)
			}
			if err := stream.Send(entry); err != nil {
				return // Recv says why
			}
		}
		if err != nil {
			break
		}
	}
	stream.CloseSend()
	sent <- sequence
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
